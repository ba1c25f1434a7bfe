#include "formats/onnx_scales.h"

#include <cmath>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/half.h"

namespace octavo {

namespace {

struct ScaleInputs {
  std::vector<size_t> inputs;
  bool positive = true;  // MatMulNBits folds the sign of a block into its scale, and 0 is an empty
                         // block
};

const ScaleInputs* scales_of(const Node& node) {
  static const std::unordered_map<std::string, ScaleInputs> table = {
      {"QuantizeLinear", {{1}, true}},
      {"DequantizeLinear", {{1}, true}},
      {"QLinearMatMul", {{1, 4, 6}, true}},
      {"QLinearConv", {{1, 4, 6}, true}},
      {"com.microsoft.QuantizeLinear", {{1}, true}},
      {"com.microsoft.DequantizeLinear", {{1}, true}},
      {"com.microsoft.DynamicQuantizeMatMul", {{2}, true}},
      {"com.microsoft.MatMulIntegerToFloat", {{2, 3}, true}},
      {"com.microsoft.MatMulNBits", {{2}, false}},
  };
  const auto it = table.find(node.domain.empty() ? node.op_type : node.domain + "." + node.op_type);
  return it == table.end() ? nullptr : &it->second;
}

float value_at(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::f32:
      return t.data<float>()[i];
    case DType::f16:
      return f16_to_f32(t.data<uint16_t>()[i]);
    case DType::bf16:
      return bf16_to_f32(t.data<uint16_t>()[i]);
    default:  // not a scale: what the op says about its types is checked elsewhere
      return 1;
  }
}

Status check_one(const Node& node, const Initializer& scale, bool positive) {
  if (scale.dtype() != DType::f32 && scale.dtype() != DType::f16 && scale.dtype() != DType::bf16)
    return Done{};
  OCTAVO_TRY(const Tensor t, scale.tensor());
  for (size_t i = 0; i < static_cast<size_t>(t.size()); ++i) {
    const float v = value_at(t, i);
    if (std::isfinite(v) && (v > 0 || !positive)) continue;
    return Error{Code::invalid_input, node.describe() + ": element " + std::to_string(i) +
                                          " of its scale \"" + scale.name() + "\" is " +
                                          std::to_string(v) + "; a scale must be finite" +
                                          (positive ? " and positive" : "")};
  }
  return Done{};
}

}  // namespace

Status check_scales(const Graph& graph) {
  std::unordered_map<std::string, const Initializer*> constants;
  for (const auto& i : graph.initializers) constants.emplace(i.name(), &i);
  const auto constant = [&](const std::string& name) -> const Initializer* {
    const auto it = constants.find(name);
    return it == constants.end() ? nullptr : it->second;
  };
  std::set<std::string> dynamic_scales;  // second outputs of DynamicQuantizeLinear
  for (const auto& node : graph.nodes) {
    if (node.op_type == "DynamicQuantizeLinear" && node.outputs.size() > 1)
      dynamic_scales.insert(node.outputs[1]);
  }
  for (const auto& node : graph.nodes) {
    if (const auto* s = scales_of(node)) {
      for (const size_t k : s->inputs) {
        if (k >= node.inputs.size()) continue;
        if (const auto* scale = constant(node.inputs[k]))
          OCTAVO_CHECK(check_one(node, *scale, s->positive));
      }
    }
    // The weight's scale of a dynamically quantized product meets the activation's in a Mul.
    if (node.op_type == "Mul" && node.inputs.size() == 2) {
      for (const size_t k : {size_t{0}, size_t{1}}) {
        const auto* scale = constant(node.inputs[1 - k]);
        if (scale != nullptr && dynamic_scales.contains(node.inputs[k]))
          OCTAVO_CHECK(check_one(node, *scale, true));
      }
    }
    for (const auto& [key, value] : node.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value))
        OCTAVO_CHECK(check_scales(**sub));
    }
  }
  return Done{};
}

}  // namespace octavo
