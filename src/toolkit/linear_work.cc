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

// The list where the node takes numbers, or rows of a few of them, by their places in a list
// (passes/palette.h): the places stand for the matrix.
const Initializer* list_of(const Graph& graph, const GraphIndex& index, const Node& node) {
  if (node.op_type != "Gather" || !node.domain.empty() || node.inputs.size() != 2 ||
      node.int_or("axis", 0) != 0)
    return nullptr;
  const size_t at = index.initializer(node.inputs[0]);
  const Initializer* list = at == GraphIndex::kNone ? nullptr : &graph.initializers[at];
  const bool fits = list != nullptr && !list->shape().empty() && list->shape().size() <= 2 &&
                    list->shape()[0] <= 256 && list->dtype() == DType::f32;
  return fits ? list : nullptr;
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
    const bool by_place = list_of(graph, index, node) != nullptr;
    if (!by_place && (!contains(kPassThrough, node.op_type) || node.inputs.empty())) return nullptr;
    value = node.inputs[by_place ? 1 : 0];
  }
  return nullptr;
}

// How many numbers each place of B stands for, where B is made of places, once, and multiplied as
// floats; else 0.
uint64_t numbers_a_place(const Graph& graph, const GraphIndex& index, const Node& node) {
  std::string_view value = node.inputs.size() > 1 ? node.inputs[1] : std::string_view();
  size_t maker = index.producer(value);
  if (maker != GraphIndex::kNone && graph.nodes[maker].op_type == "Reshape" &&
      !graph.nodes[maker].inputs.empty())
    maker = index.producer(graph.nodes[maker].inputs[0]);
  if (maker == GraphIndex::kNone) return 0;
  const Initializer* list = list_of(graph, index, graph.nodes[maker]);
  if (list == nullptr) return 0;
  return list->shape().size() == 1 ? 1 : static_cast<uint64_t>(list->shape()[1]);
}

void add(LinearWork& work, bool int8, uint64_t macs, uint64_t bytes) {
  (int8 ? work.int8_macs : work.float_macs) += macs;
  work.weight_bytes += bytes;
}

}  // namespace

const Initializer* linear_weight(const Graph& graph, const GraphIndex& index, const Node& node) {
  if (!contains(kProducts, node.op_type)) return nullptr;
  // A constant times a constant is made once: the sums of a weight's columns.
  if (!node.inputs.empty() && index.initializer(node.inputs[0]) != GraphIndex::kNone)
    return nullptr;
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
    const uint64_t numbers = numbers_a_place(graph, index, node);
    add(work, byte && numbers == 0,
        static_cast<uint64_t>(*elements) * std::max<uint64_t>(numbers, 1), *bytes);
  }
  return work;
}

}  // namespace octavo
