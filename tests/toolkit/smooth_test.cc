#include "octavo/smooth.h"

#include <gtest/gtest.h>

#include "formats/onnx.h"
#include "graph/builder.h"
#include "octavo/import.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class Smooth : public TempFolder {
 protected:
  // A few texts instead of the built-in ones.
  SmoothOptions options(const fs::path& tokenizer) const {
    SmoothOptions o;
    o.tokenizer = tokenizer;
    o.calibration = put("texts.txt",
                        "a b c d e f g\nthe quick brown fox jumps over the lazy dog\n"
                        "12345\n\nword word word word word word word word word word\n");
    return o;
  }
};

struct Export {
  const char* file;
  const char* tokenizer;
  size_t folded, explicit_muls;
};

// Two layers each: in Llama and Qwen all four inputs fold; in BERT, whose norms also feed the
// residual and whose GELU is not linear, only the attention output does.
class Exports : public Smooth, public testing::WithParamInterface<Export> {};

TEST_P(Exports, FoldWhatCanBeFolded) {
  const Export& e = GetParam();
  const fs::path out = folder_ / "smoothed.onnx";
  const fs::path in = golden("foreign") / e.file;
  const auto report = smooth_model(in, out, options(golden("tiny") / e.tokenizer));
  ASSERT_TRUE(report) << report.error().message;
  size_t folded = 0;
  for (const SmoothSite& site : report->sites) {
    EXPECT_EQ(site.refusal.empty(), site.folded_into != "explicit Mul");
    EXPECT_LE(site.outlier_after, site.outlier_before * 1.5) << site.input;
    folded += site.refusal.empty() ? 1 : 0;
  }
  EXPECT_EQ(folded, e.folded);
  EXPECT_EQ(report->sites.size(), e.folded + e.explicit_muls);
  EXPECT_LT(report->difference, 1e-5);
  EXPECT_EQ(report->calibration_texts, 4U);
  EXPECT_FALSE(fs::exists(folder_ / "smoothed.onnx.data")) << "the input has no sidecar";

  // The very numbers that onnxruntime gave for the original.
  auto smoothed = read_onnx(out);
  ASSERT_TRUE(smoothed) << smoothed.error().message;
  const auto original = read_onnx(in);
  ASSERT_TRUE(original);
  EXPECT_EQ(smoothed->graph.nodes.size(), original->graph.nodes.size() + e.explicit_muls);
  run_cases(*std::move(smoothed), fs::path(in).replace_extension(".safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Foreign, Exports,
                         testing::Values(Export{"bert_legacy_opset11.onnx", "bert", 2, 6},
                                         Export{"bert_dynamo_opset21.onnx", "bert", 2, 6},
                                         Export{"bert_contrib.onnx", "bert", 2, 6},
                                         Export{"llama_dynamo_opset18.onnx", "llama", 8, 0},
                                         Export{"llama_contrib_mha.onnx", "llama", 8, 0},
                                         Export{"llama_contrib_gqa.onnx", "llama", 8, 0},
                                         Export{"qwen3_legacy_opset14.onnx", "qwen3", 8, 0}),
                         [](const auto& param) {
                           const std::string file = param.param.file;
                           return file.substr(0, file.find('.'));
                         });

TEST_F(Smooth, OwnImportsKeepTheirSidecarAndGiveTheSameBytesAgain) {
  for (const char* name : {"llama", "qwen2", "mistral"}) {
    const fs::path model = folder_ / "m" / "model.onnx";
    ASSERT_TRUE(import_model(golden("tiny") / name, model.parent_path()));
    const auto o = options(model.parent_path());
    const fs::path first = folder_ / "one" / "s.onnx";
    const fs::path second = folder_ / "two" / "s.onnx";
    for (const auto& out : {first, second}) {
      fs::create_directories(out.parent_path());
      const auto report = smooth_model(model, out, o);
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->sites.size(), 8U);
      for (const SmoothSite& site : report->sites) EXPECT_EQ(site.refusal, "") << site.input;
    }
    ASSERT_TRUE(fs::exists(first.string() + ".data"));
    EXPECT_EQ(read(first), read(second));
    EXPECT_EQ(read(first.string() + ".data"), read(second.string() + ".data"));
    EXPECT_NE(read(first.string() + ".data"), read(model.string() + ".data"));
  }
}

TEST_F(Smooth, WithFunctionsIsInlinedFirst) {
  const fs::path model = folder_ / "model.onnx";
  ASSERT_TRUE(import_model(golden("tiny") / "qwen3", folder_, {.functions = true}));
  const auto report = smooth_model(model, folder_ / "s.onnx", options(folder_));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->sites.size(), 8U);
  const auto smoothed = read_onnx(folder_ / "s.onnx");
  ASSERT_TRUE(smoothed);
  EXPECT_TRUE(smoothed->functions.empty());
}

TEST_F(Smooth, AnOutputThatCannotBeWrittenCostsNoCalibration) {
  const fs::path out = folder_ / "nonexistent" / "s.onnx";
  size_t steps = 0;
  const auto report = smooth_model(golden("foreign") / "llama_dynamo_opset18.onnx", out,
                                   options(golden("tiny") / "llama"), [&](auto&&...) { ++steps; });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::not_found);
  EXPECT_TRUE(report.error().message.starts_with(out.string() + ":")) << report.error().message;
  EXPECT_EQ(steps, 0U);
}

TEST_F(Smooth, WritesNothingWhenTheOutputsDiffer) {
  const fs::path out = folder_ / "smoothed.onnx";
  SmoothOptions o = options(golden("tiny") / "llama");
  o.tolerance = 0;  // rounding alone breaks it
  const auto report = smooth_model(golden("foreign") / "llama_dynamo_opset18.onnx", out, o);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::internal);
  EXPECT_NE(report.error().message.find("group"), std::string::npos) << report.error().message;
  EXPECT_FALSE(fs::exists(out));
}

// The tiny Llama with nodes behind its output. `magnify`: sin(1e7 y), which makes rounding errors
// as large as the values, so that the smoothed model cannot agree.
Model llama_with_output(DType dtype, bool magnify) {
  Model model = *read_onnx(golden("foreign") / "llama_dynamo_opset18.onnx");
  Graph& graph = model.graph;
  ValueInfo& output = graph.outputs.front();
  std::string last = output.name;
  if (magnify) {
    graph.initializers.emplace_back("large", Tensor::scalar(1e7F));
    graph.nodes.push_back({"grow", "Mul", "", {last, "large"}, {"grown"}, {}, ""});
    graph.nodes.push_back({"wave", "Sin", "", {"grown"}, {"waved"}, {}, ""});
    last = "waved";
  }
  graph.nodes.push_back(
      {"narrow", "Cast", "", {last}, {"narrowed"}, {{"to", static_cast<int64_t>(dtype)}}, ""});
  output = {"narrowed", dtype, output.shape, ""};
  return model;
}

TEST_F(Smooth, ComparesOutputsOfEveryFloatingPointType) {
  const fs::path in = folder_ / "model.onnx";
  const fs::path out = folder_ / "smoothed.onnx";
  const SmoothOptions o = options(golden("tiny") / "llama");
  for (const DType dtype : {DType::f16, DType::bf16, DType::f64}) {
    ASSERT_TRUE(write_onnx(llama_with_output(dtype, true), in));
    const auto wrong = smooth_model(in, out, o);
    ASSERT_FALSE(wrong) << dtype_name(dtype);
    EXPECT_EQ(wrong.error().code, Code::internal) << wrong.error().message;
    EXPECT_NE(wrong.error().message.find("differs by"), std::string::npos) << wrong.error().message;
    EXPECT_FALSE(fs::exists(out));

    ASSERT_TRUE(write_onnx(llama_with_output(dtype, false), in));
    const auto right = smooth_model(in, out, o);
    ASSERT_TRUE(right) << right.error().message;
    if (dtype == DType::f64) {
      EXPECT_GT(right->difference, 0) << "nothing was compared";
    }
    fs::remove(out);
  }
  ASSERT_TRUE(write_onnx(llama_with_output(DType::i64, false), in));
  const auto nothing = smooth_model(in, out, o);
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().message.find("floating-point"), std::string::npos);
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Smooth, RefusesWhatItCannotDo) {
  SmoothOptions o = options(golden("tiny") / "bert");
  const fs::path out = folder_ / "s.onnx";
  const fs::path in = golden("foreign") / "bert_contrib.onnx";
  EXPECT_EQ(smooth_model(folder_ / "missing.onnx", out, o).error().code, Code::not_found);
  o.alpha = 1.5;
  EXPECT_EQ(smooth_model(in, out, o).error().code, Code::invalid_input);
  o = options(golden("tiny") / "bert");
  o.calibration = folder_ / "missing.txt";
  EXPECT_EQ(smooth_model(in, out, o).error().code, Code::not_found);

  GraphBuilder b("nothing");
  const Value ids = b.input("input_ids", DType::i64, {"batch", "sequence"});
  const Value x = b.op("Cast", {ids}, {{"to", static_cast<int64_t>(DType::f32)}});
  b.output(x, "y", DType::f32, {"batch", "sequence"});
  const fs::path plain = folder_ / "plain.onnx";
  ASSERT_TRUE(write_onnx(std::move(b).finish(17), plain));
  const auto nothing = smooth_model(plain, out, options(golden("tiny") / "bert"));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Code::invalid_input);
  EXPECT_NE(nothing.error().message.find("no MatMul"), std::string::npos);
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace octavo
