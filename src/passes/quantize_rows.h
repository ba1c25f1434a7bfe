#pragma once
// A product whose activations are quantized row by row, in ops of the standard domain: what
// DynamicQuantizeLinear does for a whole tensor, MatMulInteger takes no zero point a row of
// (docs/quantization.md).
//
//   low = Min(ReduceMin(X, last), 0), high = Max(ReduceMax(X, last), 0), range = high - low
//   scale = Where(range < 1e-30, 1, range / 255), zero = Round(-low / scale)
//   q = Cast(Clip(Round(X * (1 / scale)) + zero, 0, 255), uint8)                 once for every X
//   column_sums = MatMulInteger(ones, W)                 of constants: once, when a model is loaded
//   Y = Cast(MatMulInteger(q, W, 0, 0) - Cast(zero, int32) * column_sums) * (scale * W_scale)
//
// With 16 bits q goes to 65,535 and is split into two of 8, high = Floor(q / 256) and low =
// q - 256 high, and so is the zero point. They lie behind each other along a new first axis,
//
//   q = Concat(Unsqueeze(Cast(high), 0), Unsqueeze(Cast(low), 0); axis 0)
//
// so that one MatMulInteger multiplies both (by a weight of two axes: a stack of matrices has an
// axis where the bytes have theirs), and Y = (256 * Gather(.., 0) + Gather(.., 1)) * (scale
// * W_scale). With a product for each byte every weight had two readers: onnxruntime read it twice,
// and its session.x64quantprecision, without which a CPU without VNNI saturates, refuses such
// models. Every operation and its order is that of quantize_rows_f32_u8 and gemm_u8s8_f32 of
// kernels.h. The zero point is taken off in int32 because a float32 has 24 bits.

#include <string>
#include <vector>

#include "graph/graph.h"
#include "octavo/quantize.h"

namespace octavo {

struct RowStandin {
  // uint8 like X and int32 [..., 1]; wide: [2, ...] of the high bytes and the low ones.
  std::string values, zero_point;
  bool wide = false;
  std::string scale;  // float32 [..., 1]
};

// The constants that the nodes below share, by the names they use.
std::vector<Initializer> row_constants(int64_t opset);

// The nodes that quantize X. Precondition: activations is not per_tensor; opset 11 or more.
std::vector<Node> row_quantizer(const std::string& x, Activations activations, int64_t opset,
                                RowStandin& standin);

struct RowWeight {
  std::string values, scale, zero_point, column_sums;
};
// W_zero_point, an int8 0 of its own for every weight. MatMulInteger may leave zero points out, but
// the rewriting of onnxruntime's session.x64quantprecision reads them all the same: 1.17 to 1.22
// abort.
Initializer row_zero_point(const std::string& name);
// The row of ones [1, depth] that column sums of weights with so many rows are made with.
Initializer row_of_ones(int64_t depth);
// The node that makes them. A product with ones cannot saturate in 16 bits where others could.
Node column_sums(const RowWeight& weight, int64_t depth);

// The nodes of a product, the last of which makes y; named after `node` ("" for none).
std::vector<Node> row_product(const std::string& node, const RowStandin& x, const RowWeight& weight,
                              const std::string& y);

}  // namespace octavo
