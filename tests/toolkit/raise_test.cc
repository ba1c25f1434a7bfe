// Raising of whole models against the plain executor: our own exports, the files other programs
// write, and what our smoothing and quantization make of them.

#include "passes/raise.h"

#include <algorithm>
#include <cstdlib>

#include "formats/onnx.h"
#include "octavo/import.h"
#include "octavo/quantize.h"
#include "octavo/smooth.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"
#include "toolkit/raise_helpers.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

// The raised graph gives the numbers of the original, on another length than the probe's.
void expect_same(const Model& model, const Raised& raised, double tolerance = 2e-5,
                 int64_t length = 31) {
  const auto difference = compare(model, raised, some_ids(length, 89));
  ASSERT_TRUE(difference) << difference.error().message;
  EXPECT_LE(*difference, tolerance);
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
    {"mistral", 14, 5, 2, 2, 6, 2, 14, 1, 5, 2}, {"qwen2", 14, 5, 2, 2, 6, 6, 6, 1, 0, 2},
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
