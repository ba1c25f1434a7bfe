#include "toolkit/size_parts.h"

#include <algorithm>
#include <set>

#include "formats/onnx.h"
#include "graph/inline.h"
#include "toolkit/linear_work.h"

namespace octavo {

namespace {

// The initializer of two axes whose rows the node looks up, else nullptr. A list that a matrix is
// made of by constant places in bytes (passes/palette.h) is no table.
const Initializer* gathered(const Graph& graph, const GraphIndex& index, const Node& node) {
  if (node.op_type != "Gather" || !node.domain.empty() || node.inputs.size() != 2) return nullptr;
  const size_t at = index.initializer(node.inputs[0]);
  if (at == GraphIndex::kNone) return nullptr;
  const size_t maker = index.producer(node.inputs[1]);
  if (maker != GraphIndex::kNone && graph.nodes[maker].op_type == "Cast") {
    const size_t places = index.initializer(graph.nodes[maker].inputs[0]);
    if (places != GraphIndex::kNone && graph.initializers[places].dtype() == DType::u8)
      return nullptr;
  }
  const Initializer& table = graph.initializers[at];
  return table.shape().size() == 2 && node.int_or("axis", 0) == 0 ? &table : nullptr;
}

uint64_t sum_of(const std::set<const Initializer*>& initializers) {
  uint64_t sum = 0;
  for (const Initializer* i : initializers) {
    const auto bytes = byte_count(i->dtype(), i->shape());
    if (bytes) sum += *bytes;
  }
  return sum;
}

}  // namespace

Result<SizeParts> size_parts(const Model& model, uint64_t bytes) {
  Model flat = model;
  OCTAVO_CHECK(inline_functions(flat));
  const GraphIndex index(flat.graph);
  std::set<const Initializer*> tables;
  std::set<const Initializer*> linears;
  for (const Node& node : flat.graph.nodes) {
    if (const Initializer* table = gathered(flat.graph, index, node)) tables.insert(table);
    if (const Initializer* weight = linear_weight(flat.graph, index, node)) linears.insert(weight);
  }
  for (const Initializer* table : tables) linears.erase(table);
  SizeParts parts{sum_of(tables), sum_of(linears), 0};
  // Two tensors may lie in the same bytes: no part is larger than the whole.
  parts.tables = std::min(parts.tables, bytes);
  parts.linears = std::min(parts.linears, bytes - parts.tables);
  parts.rest = bytes - parts.tables - parts.linears;
  return parts;
}

Result<SizeParts> size_parts(const std::filesystem::path& file) {
  OCTAVO_TRY(const OnnxFile onnx, open_onnx(file));
  uint64_t bytes = onnx.size;
  for (const OnnxSidecar& sidecar : onnx.sidecars) bytes += sidecar.size;
  return size_parts(onnx.model, bytes);
}

}  // namespace octavo
