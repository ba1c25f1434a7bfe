#include "toolkit/linear_work.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/inline.h"

namespace octavo {

namespace {

constexpr std::array<std::string_view, 8> kProducts = {
    "MatMul",      "Gemm",      "MatMulInteger",         "QLinearMatMul",
    "FusedMatMul", "FusedGemm", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"};
constexpr std::array<std::string_view, 5> kPassThrough = {"DequantizeLinear", "Cast", "Transpose",
                                                          "Reshape", "Identity"};

template <size_t n>
bool contains(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Numbers of a list by their places (passes/palette.h): the places have the matrix's shape.
bool is_lookup(const Graph& graph, const GraphIndex& index, const Node& node) {
  if (node.op_type != "Gather" || !node.domain.empty() || node.inputs.size() != 2 ||
      node.int_or("axis", 0) != 0)
    return false;
  const size_t list = index.initializer(node.inputs[0]);
  return list != GraphIndex::kNone && graph.initializers[list].shape().size() == 1;
}

const Initializer* constant_behind(const Graph& graph, const GraphIndex& index,
                                   std::string_view value) {
  // A chain longer than this is no way to store a weight.
  for (int step = 0; step < 8; ++step) {
    if (const size_t i = index.initializer(value); i != GraphIndex::kNone)
      return &graph.initializers[i];
    const size_t maker = index.producer(value);
    if (maker == GraphIndex::kNone) return nullptr;
    const Node& node = graph.nodes[maker];
    const bool by_place = is_lookup(graph, index, node);
    if (!by_place && (!contains(kPassThrough, node.op_type) || node.inputs.empty())) return nullptr;
    value = node.inputs[by_place ? 1 : 0];
  }
  return nullptr;
}

// Whether B is made of places, once, and multiplied as floats.
bool looked_up(const Graph& graph, const GraphIndex& index, const Node& node) {
  const size_t maker = node.inputs.size() > 1 ? index.producer(node.inputs[1]) : GraphIndex::kNone;
  return maker != GraphIndex::kNone && is_lookup(graph, index, graph.nodes[maker]);
}

void add(LinearWork& work, bool int8, uint64_t macs, uint64_t bytes) {
  (int8 ? work.int8_macs : work.float_macs) += macs;
  work.weight_bytes += bytes;
}

}  // namespace

const Initializer* linear_weight(const Graph& graph, const GraphIndex& index, const Node& node) {
  if (!contains(kProducts, node.op_type)) return nullptr;
  // A is the first input everywhere, B the second or, with scales between them, the fourth.
  const size_t b = node.op_type == "QLinearMatMul" ? 3 : 1;
  if (node.inputs.size() <= b) return nullptr;
  const Initializer* weight = constant_behind(graph, index, node.inputs[b]);
  return weight == nullptr || weight->shape().size() != 2 ? nullptr : weight;
}

Result<LinearWork> linear_work(const Model& model) {
  Model flat = model;
  OCTAVO_CHECK(inline_functions(flat));
  const Graph& graph = flat.graph;
  const GraphIndex index(graph);
  LinearWork work;
  for (const Node& node : graph.nodes) {
    if (node.op_type == "MatMulNBits") {
      const auto k = static_cast<uint64_t>(std::max<int64_t>(node.int_or("K", 0), 0));
      const auto n = static_cast<uint64_t>(std::max<int64_t>(node.int_or("N", 0), 0));
      const auto bits = static_cast<uint64_t>(std::max<int64_t>(node.int_or("bits", 4), 0));
      // Its scales change along K: no product of integers.
      add(work, false, k * n, k * n * bits / 8);
      continue;
    }
    const Initializer* weight = linear_weight(graph, index, node);
    if (weight == nullptr) continue;
    const auto elements = element_count(weight->shape());
    const auto bytes = byte_count(weight->dtype(), weight->shape());
    if (!elements || !bytes) continue;
    const bool byte = weight->dtype() == DType::i8 || weight->dtype() == DType::u8;
    add(work, byte && !looked_up(graph, index, node), static_cast<uint64_t>(*elements), *bytes);
  }
  return work;
}

}  // namespace octavo
