// Raising of whole models against the plain executor: our own exports, the files other programs
// write, and what our smoothing and quantization make of them.

#include "passes/raise.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "embed/raise_probe.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "octavo/import.h"
#include "octavo/quantize.h"
#include "octavo/smooth.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"
#include "toolkit/raised_run.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

std::vector<int64_t> some_ids(int64_t count, int64_t vocabulary) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back((7 + i * 37 + i * i) % vocabulary);
  return ids;
}

Result<Raised> raise(const Model& model) {
  OCTAVO_TRY(const Session session, Session::create(model, {.pool = nullptr, .threads = 2}));
  OCTAVO_TRY(const Probe probe, run_raise_probe(session, some_ids(kProbeLength, 97)));
  return raise_encoder(model, probe);
}

std::vector<Tensor> run(const Model& model, const std::vector<int64_t>& ids) {
  const auto session = Session::create(model, {.pool = nullptr, .threads = 2});
  EXPECT_TRUE(session) << session.error().message;
  if (!session) return {};
  const auto inputs = read_signature_inputs(session->graph());
  std::vector<Feed> feeds;
  if (inputs) {
    feeds = *token_feeds(*inputs, ids, 1);
  } else {  // no ids: the position values of some models need the mask alone
    for (const auto& v : session->graph().inputs)
      feeds.emplace_back(v.name, Tensor::of<int64_t>({1, static_cast<int64_t>(ids.size())},
                                                     std::vector<int64_t>(ids.size(), 1)));
  }
  const auto out = session->run(feeds);
  EXPECT_TRUE(out) << out.error().message;
  return out ? *out : std::vector<Tensor>();
}

// The raised graph gives the numbers of the original, on another length than the probe's.
void expect_same(const Model& model, const Raised& raised, double tolerance = 2e-5,
                 int64_t length = 31) {
  const auto ids = some_ids(length, 89);
  Model one = model;
  std::erase_if(one.graph.outputs,
                [&](const ValueInfo& v) { return v.name != raised.model.graph.outputs[0].name; });
  const auto expected = run(one, ids);
  ASSERT_EQ(expected.size(), 1U);
  std::vector<Tensor> positions;
  if (!raised.position_values.empty()) positions = run(raised.positions, ids);
  ASSERT_EQ(positions.size(), raised.position_values.size());
  const Rows got = RaisedRun(raised, ids, positions).run();
  ASSERT_EQ(got.rows, ids.size());
  const auto wanted = expected[0].values<float>();
  ASSERT_EQ(got.x.size(), wanted.size());
  double most = 0, range = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    most = std::max(most, std::abs(got.x[i] - double{wanted[i]}));
    range = std::max(range, std::abs(double{wanted[i]}));
  }
  EXPECT_LE(most, tolerance * range);
}

size_t count(const Raised& raised, std::string_view op) {
  const auto& nodes = raised.model.graph.nodes;
  return static_cast<size_t>(
      std::count_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.op_type == op; }));
}

class Raise : public TempFolder {
 protected:
  Model imported(const std::string& name) {
    const auto report = import_model(golden("tiny/" + name), folder_ / name);
    EXPECT_TRUE(report) << report.error().message;
    auto model = read_onnx(folder_ / name / "model.onnx");
    EXPECT_TRUE(model) << model.error().message;
    return model ? *std::move(model) : Model();
  }
  Model read(const fs::path& file) {
    auto model = read_onnx(file);
    EXPECT_TRUE(model) << model.error().message;
    return model ? *std::move(model) : Model();
  }
  // The file after `octavo smooth` and `octavo quantize`.
  struct Processed {
    fs::path smoothed, quantized;
    size_t explicit_muls = 0, integer = 0;
  };
  Processed process(const fs::path& file, const fs::path& tokenizer, QuantizeOptions options) {
    Processed out{folder_ / "smoothed.onnx", folder_ / "quantized.onnx"};
    SmoothOptions smooth;
    smooth.tokenizer = tokenizer;
    smooth.calibration = put("texts.txt", "a b c d e f g\nthe quick brown fox\n12345\n");
    const auto smoothed = smooth_model(file, out.smoothed, smooth);
    EXPECT_TRUE(smoothed) << smoothed.error().message;
    if (smoothed) {
      for (const SmoothSite& site : smoothed->sites)
        out.explicit_muls += site.refusal.empty() ? 0 : site.weights.size();
    }
    const auto quantized = quantize_model(out.smoothed, out.quantized, options);
    EXPECT_TRUE(quantized) << quantized.error().message;
    if (quantized) out.integer = quantized->quantized.size();
    return out;
  }
  void expect_processed(const fs::path& file, const fs::path& tokenizer) {
    for (const bool per_channel : {true, false}) {
      SCOPED_TRACE(per_channel ? "per channel" : "per tensor");
      QuantizeOptions options;
      options.per_channel = per_channel;
      options.weight_type = per_channel ? WeightType::qint8 : WeightType::quint8;
      const Processed p = process(file, tokenizer, options);
      const Model smoothed = read(p.smoothed);
      const auto raised = raise(smoothed);
      ASSERT_TRUE(raised) << raised.error().message;
      expect_same(smoothed, *raised);
      EXPECT_EQ(factors(*raised), p.explicit_muls);
      const Model quantized = read(p.quantized);
      const auto integer = raise(quantized);
      ASSERT_TRUE(integer) << integer.error().message;
      EXPECT_EQ(integers(*integer), p.integer);
      EXPECT_EQ(factors(*integer), p.explicit_muls);
      // The evaluator keeps activations in float: what is left is the quantization's own error.
      expect_same(quantized, *integer, 0.15);
    }
  }
  static size_t factors(const Raised& raised) {
    const auto& nodes = raised.model.graph.nodes;
    return static_cast<size_t>(std::count_if(nodes.begin(), nodes.end(), [](const Node& n) {
      return n.op_type == "Linear" && n.inputs.size() > 5;
    }));
  }
  static size_t integers(const Raised& raised) {
    const auto& nodes = raised.model.graph.nodes;
    return static_cast<size_t>(std::count_if(nodes.begin(), nodes.end(), [](const Node& n) {
      return n.op_type == "Linear" && n.string_or("kind", "") == "int8";
    }));
  }
};

struct Form {
  const char* name;
  // Of the whole graph.
  size_t linears, norms, attentions, gates;
  int64_t heads, kv_heads, head_dim, causal, window;
  size_t positions;
};

// By hand from the config.json of each.
const Form kForms[] = {
    {"bert", 12, 5, 2, 0, 3, 3, 12, 0, 0, 1},    {"llama", 14, 5, 2, 2, 4, 2, 16, 1, 0, 2},
    {"mistral", 14, 5, 2, 2, 6, 2, 14, 1, 5, 2}, {"qwen2", 14, 5, 2, 2, 6, 2, 6, 1, 0, 2},
    {"qwen3", 14, 5, 2, 2, 6, 2, 10, 1, 0, 2},
};

void expect_form(const Raised& raised, const Form& form) {
  const bool bert = form.causal == 0;
  EXPECT_EQ(count(raised, "Linear"), form.linears);
  EXPECT_EQ(count(raised, bert ? "LayerNormalization" : "RMSNorm"), form.norms);
  EXPECT_EQ(count(raised, "FusedAttention"), form.attentions);
  EXPECT_EQ(count(raised, "SwiGLU"), form.gates);
  EXPECT_EQ(count(raised, "Embed"), 1U);
  EXPECT_EQ(raised.position_values.size(), form.positions);
  for (const Node& node : raised.model.graph.nodes) {
    if (node.op_type != "FusedAttention") continue;
    EXPECT_EQ(node.int_or("heads", -1), form.heads);
    EXPECT_EQ(node.int_or("kv_heads", -1), form.kv_heads);
    EXPECT_EQ(node.int_or("head_dim", -1), form.head_dim);
    EXPECT_EQ(node.int_or("causal", -1), form.causal);
    EXPECT_EQ(node.int_or("window", -1), form.window);
    EXPECT_FLOAT_EQ(node.float_or("scale", 0), 1.0F / std::sqrt(static_cast<float>(form.head_dim)));
  }
}

TEST_F(Raise, OwnExports) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    const Model model = imported(form.name);
    const auto raised = raise(model);
    ASSERT_TRUE(raised) << raised.error().message;
    expect_form(*raised, form);
    expect_same(model, *raised);
  }
}

TEST_F(Raise, OwnExportsSmoothedAndQuantized) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    imported(form.name);
    expect_processed(folder_ / form.name / "model.onnx", golden("tiny") / form.name);
  }
}

TEST_F(Raise, ForeignSmoothedAndQuantized) {
  for (const auto& file : files_in(golden("foreign"), ".onnx")) {
    const std::string name = file.stem().string();
    SCOPED_TRACE(name);
    expect_processed(file, golden("tiny") / name.substr(0, name.find('_')));
  }
}

TEST_F(Raise, Foreign) {
  for (const auto& file : files_in(golden("foreign"), ".onnx")) {
    SCOPED_TRACE(file.stem().string());
    const auto model = read_onnx(file);
    ASSERT_TRUE(model) << model.error().message;
    const auto raised = raise(*model);
    EXPECT_TRUE(raised) << raised.error().message;
    if (raised) expect_same(*model, *raised);
  }
}

}  // namespace
}  // namespace octavo
