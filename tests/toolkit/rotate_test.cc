// smooth_model with a rotation: the same function (the numbers that transformers and onnxruntime
// gave for the original), still recognised by the engine, and refused where it cannot be.

#include <gtest/gtest.h>

#include "embed/fused_model.h"
#include "formats/onnx.h"
#include "octavo/import.h"
#include "octavo/quantize.h"
#include "octavo/smooth.h"
#include "passes/rotate_residual.h"
#include "runtime/session.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class Rotate : public TempFolder {
 protected:
  SmoothOptions options(const fs::path& tokenizer, RotateResidual rotate) const {
    SmoothOptions o;
    o.rotate = rotate;
    o.tokenizer = tokenizer;
    o.calibration = put("texts.txt",
                        "a b c d e f g\nthe quick brown fox jumps over the lazy dog\n12345\n"
                        "word word word word word word word word word word\n");
    return o;
  }

  // Runs fused with the rotation back as its last linear, in float and in INT8.
  void check_engine(const fs::path& smoothed) const {
    const auto pool = std::make_shared<ThreadPool>(2);
    const fs::path int8 = folder_ / "int8.onnx";
    QuantizeOptions how;
    how.per_channel = true;
    how.activations = Activations::per_token;
    const auto report = quantize_model(smoothed, int8, how);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->quantized.size(), 14U);
    EXPECT_TRUE(std::any_of(report->kept.begin(), report->kept.end(), [](const auto& kept) {
      return kept.reason == "it rotates the residual stream back";
    }));
    for (const fs::path& path : {smoothed, int8}) {
      const auto model = read_onnx(path);
      ASSERT_TRUE(model) << model.error().message;
      const auto fused = make_fused(*model, {.positions = 0, .cache = false}, pool);
      ASSERT_TRUE(fused) << fused.error().message;
      const fused::EncoderSpec& spec = fused->encoder->spec();
      ASSERT_EQ(spec.final_linear.size(), 1U);
      EXPECT_EQ(spec.final_linear[0].kind, fused::WeightKind::f32);
      EXPECT_EQ(spec.final_norm.kind, fused::NormKind::rms);
    }
  }
};

// The rotation back as floats, as it was before it went into bytes.
Model with_floats(Model model, const Tensor& back) {
  Graph& graph = model.graph;
  const std::string name(kRotationBack);
  std::erase_if(graph.nodes, [&](const Node& node) { return node.outputs[0].starts_with(name); });
  std::erase_if(graph.initializers,
                [&](const Initializer& i) { return i.name().starts_with(name); });
  graph.initializers.emplace_back(name, back);
  EXPECT_TRUE(check(model));
  return model;
}

std::vector<float> run_plain(const Model& model, const std::vector<int64_t>& ids,
                             const std::shared_ptr<ThreadPool>& pool) {
  const auto session = Session::create(model, {.pool = pool});
  EXPECT_TRUE(session) << session.error().message;
  const auto n = static_cast<int64_t>(ids.size());
  std::vector<Feed> feeds;
  for (const ValueInfo& input : session->graph().inputs)
    feeds.emplace_back(
        input.name,
        Tensor::of<int64_t>({1, n},
                            input.name == "input_ids" ? ids : std::vector<int64_t>(ids.size(), 1)));
  const auto made = session->run(feeds);
  EXPECT_TRUE(made) << made.error().message;
  const auto values = made->at(0).values<float>();
  return {values.begin(), values.end()};
}

std::vector<float> run_fused(const Model& model, const std::vector<int64_t>& ids,
                             const std::shared_ptr<ThreadPool>& pool) {
  const auto fused = make_fused(model, {.positions = 0, .cache = false}, pool);
  EXPECT_TRUE(fused) << fused.error().message;
  std::vector<float> hidden(ids.size() * fused->encoder->spec().hidden);
  const size_t offsets[] = {0, ids.size()};
  EXPECT_TRUE(fused->encoder->run(ids, offsets, *pool, {}, hidden.data()));
  return hidden;
}

// A byte an element in the file with a scale a token; bit by bit what the floats give.
TEST_F(Rotate, TheWayBackInBytesChangesNoBit) {
  const auto pool = std::make_shared<ThreadPool>(2);
  const std::vector<int64_t> ids = {7, 12, 5, 30, 31, 8, 9, 44, 23, 6, 11};
  for (const char* name : {"llama", "qwen3"}) {
    SCOPED_TRACE(name);
    const fs::path in = folder_ / name / "model.onnx";
    ASSERT_TRUE(import_model(golden("tiny") / name, in.parent_path()));
    const fs::path rotated = folder_ / name / "rotated.onnx";
    ASSERT_TRUE(smooth_model(in, rotated, options(in.parent_path(), RotateResidual::yes)));
    const auto floats = read_onnx(rotated);
    ASSERT_TRUE(floats);
    const Tensor back = *floats->graph.find_initializer(kRotationBack)->tensor();
    QuantizeOptions how;
    how.per_channel = true;
    for (const Activations activations :
         {Activations::per_tensor, Activations::per_token, Activations::per_token_16}) {
      how.activations = activations;
      const fs::path out = folder_ / name / "int8.onnx";
      const auto report = quantize_model(rotated, out, how);
      ASSERT_TRUE(report) << report.error().message;
      const auto model = read_onnx(out);
      ASSERT_TRUE(model) << model.error().message;
      uint64_t bytes = 0;
      for (const Initializer& i : model->graph.initializers)
        bytes += *byte_count(i.dtype(), i.shape());
      EXPECT_EQ(bytes, report->bytes_after);
      const Initializer* places =
          model->graph.find_initializer(std::string(kRotationBack) + "_places");
      // quantize_dynamic's form has no such nodes.
      ASSERT_EQ(places != nullptr, activations != Activations::per_tensor);
      if (places == nullptr) continue;
      EXPECT_EQ(places->dtype(), DType::u8);
      EXPECT_EQ(model->graph.find_initializer(kRotationBack), nullptr);
      const Model before = with_floats(*model, back);
      EXPECT_EQ(run_plain(*model, ids, pool), run_plain(before, ids, pool));
      EXPECT_EQ(run_fused(*model, ids, pool), run_fused(before, ids, pool));
    }
  }
}

TEST_F(Rotate, ImportsStayTheSameFunction) {
  for (const char* name : {"llama", "mistral", "qwen2", "qwen3"}) {
    SCOPED_TRACE(name);
    const fs::path in = folder_ / name / "model.onnx";
    ASSERT_TRUE(import_model(golden("tiny") / name, in.parent_path()));
    const fs::path out = folder_ / name / "rotated.onnx";
    const auto report = smooth_model(in, out, options(in.parent_path(), RotateResidual::yes));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_GT(report->rotated_width, 0U);
    EXPECT_LT(report->difference, 1e-5);
    EXPECT_EQ(report->sites.size(), 8U);
    for (const SmoothSite& site : report->sites) EXPECT_EQ(site.refusal, "") << site.input;
    const auto before = read_onnx(in);
    const auto after = read_onnx(out);
    ASSERT_TRUE(before);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->graph.nodes.size(), before->graph.nodes.size() + 1);
    EXPECT_EQ(after->graph.initializers.size(), before->graph.initializers.size() + 1);
    for (const Initializer& i : before->graph.initializers)
      EXPECT_NE(after->graph.find_initializer(i.name()), nullptr) << i.name();
    check_engine(out);
  }
}

TEST_F(Rotate, ExportsOfTorchToo) {
  const std::pair<const char*, const char*> exports[] = {{"llama_dynamo_opset18.onnx", "llama"},
                                                         {"qwen3_legacy_opset14.onnx", "qwen3"}};
  for (const auto& [file, tokenizer] : exports) {
    SCOPED_TRACE(file);
    const fs::path in = golden("foreign") / file;
    const fs::path out = folder_ / file;
    const auto report =
        smooth_model(in, out, options(golden("tiny") / tokenizer, RotateResidual::yes));
    ASSERT_TRUE(report) << report.error().message;
    auto rotated = read_onnx(out);
    ASSERT_TRUE(rotated);
    check_engine(out);
    run_cases(*std::move(rotated), fs::path(in).replace_extension(".safetensors"));
  }
}

// LayerNorm takes a mean, which a rotation changes; BERT also normalises the stream itself.
TEST_F(Rotate, IsRefusedWhereItIsNoSymmetry) {
  const fs::path in = golden("foreign") / "bert_dynamo_opset21.onnx";
  const fs::path out = folder_ / "rotated.onnx";
  const auto refused = smooth_model(in, out, options(golden("tiny") / "bert", RotateResidual::yes));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_NE(refused.error().message.find("the residual stream cannot be rotated"),
            std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(fs::exists(out));
  const auto left =
      smooth_model(in, out, options(golden("tiny") / "bert", RotateResidual::if_possible));
  ASSERT_TRUE(left) << left.error().message;
  EXPECT_EQ(left->rotated_width, 0U);
  EXPECT_NE(left->not_rotated, "");
}

// Hidden states of all layers as outputs: each would have to be rotated back.
TEST_F(Rotate, IsRefusedWhenTheStreamIsAnOutput) {
  const fs::path in = folder_ / "model.onnx";
  ASSERT_TRUE(import_model(golden("tiny") / "llama", folder_));
  auto model = read_onnx(in);
  ASSERT_TRUE(model);
  ValueInfo more = model->graph.outputs[0];
  more.name = "/layers.0/Add_1_output_0";
  model->graph.outputs.push_back(more);
  ASSERT_TRUE(write_onnx(*model, folder_ / "more.onnx", {}));
  const auto refused = smooth_model(folder_ / "more.onnx", folder_ / "out.onnx",
                                    options(folder_, RotateResidual::yes));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported) << refused.error().message;
  EXPECT_NE(refused.error().message.find("layers.0/Add_1"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace octavo
