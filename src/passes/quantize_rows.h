#pragma once
// A product whose activations are quantized row by row, in ops of the standard domain: what
// DynamicQuantizeLinear does for a whole tensor, MatMulInteger takes no zero point a row of
// (docs/quantization.md).
//
//   low = Min(ReduceMin(X, last), 0), high = Max(ReduceMax(X, last), 0), range = high - low
//   scale = Where(range < 1e-30, 1, range / 255), zero = Round(-low / scale)
//   q = Cast(Clip(Round(X * (1 / scale)) + zero, 0, 255), uint8)                 once for every X
//   column_sums = MatMulInteger(ones, W)                 of constants: once, when a model is loaded
//   Y = Cast(MatMulInteger(q, W) - Cast(zero, int32) * column_sums) * (scale * W_scale)
//
// With 16 bits q goes to 65,535 and is split into two of 8, high = Floor(q / 256) and low =
// q - 256 high; each has its own product and zero point, and Y = (256 * the high one + the low one)
// * (scale * W_scale). Every operation and its order is that of quantize_rows_f32_u8 and
// gemm_u8s8_f32 of kernels.h. The zero point is taken off in int32 because a float32 has 24 bits.

#include <string>
#include <vector>

#include "graph/graph.h"
#include "octavo/quantize.h"

namespace octavo {

// The 8-bit pieces of X, the most significant first: one, or two of 16 bits.
struct RowStandin {
  struct Part {
    std::string values, zero_point;  // uint8 like X; int32 [..., 1]
  };
  std::vector<Part> parts;
  std::string scale;  // float32 [..., 1]
};

// The constants that the nodes below share, by the names they use.
std::vector<Initializer> row_constants(int64_t opset);

// The nodes that quantize X. Precondition: activations is not per_tensor; opset 11 or more.
std::vector<Node> row_quantizer(const std::string& x, Activations activations, int64_t opset,
                                RowStandin& standin);

struct RowWeight {
  std::string values, scale, column_sums;
};
// The row of ones [1, depth] that column sums of weights with so many rows are made with.
Initializer row_of_ones(int64_t depth);
// The node that makes them. A product with ones cannot saturate in 16 bits where others could.
Node column_sums(const RowWeight& weight, int64_t depth);

// The nodes of a product, the last of which makes y; named after `node` ("" for none).
std::vector<Node> row_product(const std::string& node, const RowStandin& x, const RowWeight& weight,
                              const std::string& y);

}  // namespace octavo
