#pragma once
// Half-precision tensors for ops that compute in float: converted before, rounded back after. A
// float tensor passes through untouched.

#include "base/result.h"
#include "runtime/op.h"
#include "tensor/tensor.h"

namespace octavo::ops {

inline bool is_float32_or_half(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

// The values as a float32 tensor: the same handle when they are one.
Result<Tensor> to_float32(const Tensor& t, ThreadPool& pool);
// The values as floats, in scratch memory of the run when they have to be converted.
// Precondition: is_float32_or_half.
Result<const float*> as_floats(OpContext& context, const Tensor& t);

// Where to write floats that become the output `y`: its own bytes, or scratch memory that finish()
// rounds into it.
class FloatResult {
 public:
  static Result<FloatResult> make(OpContext& context, Tensor& y);
  float* data() const { return data_; }
  void finish(ThreadPool& pool);

 private:
  FloatResult(Tensor& y, float* data) : y_(&y), data_(data) {}
  Tensor* y_;
  float* data_;
};

}  // namespace octavo::ops
