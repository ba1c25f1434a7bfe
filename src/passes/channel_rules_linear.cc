// y = x W + b: a factor on the columns of y is a factor on the columns of W and on b; a factor on
// whole matrices of a batch (the heads of attention) as well.

#include "passes/channel_rules.h"

namespace octavo {

namespace {

Error refuse(const ChannelTrace& trace, size_t node, const std::string& why) {
  return {Code::unsupported, trace.node(node).describe() + ": " + why};
}

Status matmul(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const Shape left, trace.shape(n.inputs[0]));
  OCTAVO_TRY(const Shape right, trace.shape(n.inputs[1]));
  const size_t rank = map.dims.size();
  if (left.size() < 2 || right.size() < 2 || rank < 2)
    return refuse(trace, node, "multiplies a vector");
  // Columns come from the right factor, rows from the left; the batch axes may go to either.
  const bool varies_by_row = map.dims[rank - 2] != 1;
  const bool varies_by_column = map.dims[rank - 1] != 1;
  if (varies_by_row && varies_by_column)
    return refuse(trace, node, "the factor varies along rows and columns");
  const size_t input = varies_by_row ? 0 : 1;
  OCTAVO_TRY(const ChannelMap own,
             for_operand(map, input == 0 ? left : right, false).within(n.describe()));
  return trace.divide_input(node, input, own);
}

Status gemm(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const Node& n = trace.node(node);
  if (map.dims.size() != 2 || map.dims[0] != 1)
    return refuse(trace, node, "the factor varies along rows");
  ChannelMap columns = map;
  if (n.int_or("transB", 0) != 0) std::swap(columns.dims[0], columns.dims[1]);
  OCTAVO_CHECK(trace.divide_input(node, 1, columns));
  if (n.inputs.size() < 3 || n.inputs[2].empty()) return Done{};
  OCTAVO_TRY(const Shape bias, trace.shape(n.inputs[2]));
  OCTAVO_TRY(const ChannelMap own, for_operand(map, bias, true).within(n.describe()));
  return trace.divide_input(node, 2, own, true);
}

}  // namespace

ChannelRule linear_rule(std::string_view domain, std::string_view op_type) {
  if (!domain.empty()) return nullptr;
  if (op_type == "MatMul") return matmul;
  if (op_type == "Gemm") return gemm;
  return nullptr;
}

}  // namespace octavo
