#pragma once
// How much work the linear layers of a graph are, whatever wrote it: products with a weight that is
// a constant. Attention's own products are not counted.

#include <cstdint>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

struct LinearWork {
  uint64_t int8_macs =
      0;  // a token, in layers with 8-bit weights and scales that K does not change
  uint64_t float_macs = 0;    // a token, in the others
  uint64_t weight_bytes = 0;  // as stored; each weight is read once a run
};

// The constant of two axes that a node multiplies by, behind whatever it is stored behind; nullptr
// for other nodes. MatMulNBits, whose weight is a row of packed blocks, is another node.
const Initializer* linear_weight(const Graph& graph, const GraphIndex& index, const Node& node);

// MatMul, Gemm, MatMulInteger, MatMulNBits and com.microsoft's quantized products; a weight behind
// DequantizeLinear, Cast, Transpose, Reshape, Identity or a Gather from a list is found. Errors:
// those of inlining the model's functions.
Result<LinearWork> linear_work(const Model& model);

}  // namespace octavo
