#pragma once
// Dynamic INT8 in the form of onnxruntime.quantization.quantize_dynamic (docs/quantization.md).
//
//   before:  Y = MatMul(X, W)                                            W a float32 constant
//   after:   X_quantized, X_scale, X_zero_point = DynamicQuantizeLinear(X)     once for every X
//            Y_output_quantized = MatMulInteger(X_quantized, W_quantized,
//                                               X_zero_point, W_zero_point)
//            Y = Cast(Y_output_quantized) * (X_scale * W_scale)
//
// That is per_tensor; with a scale a row (Activations) see passes/quantize_rows.h.
//
// Gemm becomes MatMul + Add first. A weight that another op reads as well is dequantized for it, if
// that op comes later. Subgraphs and function bodies stay as they are. Weights are quantized when
// their bytes are asked for, one at a time.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "octavo/quantize.h"
#include "passes/quantize_weight.h"

namespace octavo {

struct QuantizeDynamicOptions {
  WeightForm form;
  // Whether a node stays as it is, and why; empty: it may be quantized. Null: all may.
  std::function<std::string(const Node&)> exclude;
  // Anything but per_tensor asks for symmetric weights, which the product needs no zero point of.
  Activations activations = Activations::per_tensor;
  std::function<bool(const Node&)> protect;  // with per_token: which nodes get 16 bits
  std::shared_ptr<ThreadPool> pool;          // null: one of its own
};

struct QuantizedModel {
  Model model;
  QuantizeReport report;
};

// Errors: invalid_input for scales of a token with unsigned weights.
Status check_activations(Activations activations, bool is_signed);

// Nothing quantized is not an error here; the report says why. Errors: unsupported for opsets
// before 11, which have no DynamicQuantizeLinear; those of check_activations().
Result<QuantizedModel> quantize_dynamic(Model model, const QuantizeDynamicOptions& options);

}  // namespace octavo
