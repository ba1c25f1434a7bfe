#include "runtime/ops/half_as_float.h"

#include "base/half.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 16384;

void widen(ThreadPool& pool, const Tensor& t, float* to) {
  const uint16_t* from = t.data<uint16_t>();
  const bool bf16 = t.dtype() == DType::bf16;
  pool.parallel_for(static_cast<size_t>(t.size()), kGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) to[i] = bf16 ? bf16_to_f32(from[i]) : f16_to_f32(from[i]);
  });
}

}  // namespace

Result<Tensor> to_float32(const Tensor& t, ThreadPool& pool) {
  if (t.dtype() == DType::f32) return t;
  OCTAVO_TRY(Tensor floats, Tensor::make(DType::f32, t.shape()));
  widen(pool, t, floats.mutable_data<float>());
  return floats;
}

Result<const float*> as_floats(OpContext& context, const Tensor& t) {
  if (t.dtype() == DType::f32) return t.data<float>();
  OCTAVO_TRY(const auto scratch, context.scratch(static_cast<size_t>(t.size()) * sizeof(float)));
  auto* floats = reinterpret_cast<float*>(scratch.data());
  widen(context.pool(), t, floats);
  return static_cast<const float*>(floats);
}

Result<FloatResult> FloatResult::make(OpContext& context, Tensor& y) {
  if (y.dtype() == DType::f32) return FloatResult(y, y.mutable_data<float>());
  OCTAVO_TRY(const auto scratch, context.scratch(static_cast<size_t>(y.size()) * sizeof(float)));
  return FloatResult(y, reinterpret_cast<float*>(scratch.data()));
}

void FloatResult::finish(ThreadPool& pool) {
  if (y_->dtype() == DType::f32) return;
  auto* to = y_->mutable_data<uint16_t>();
  const bool bf16 = y_->dtype() == DType::bf16;
  pool.parallel_for(static_cast<size_t>(y_->size()), kGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      to[i] = bf16 ? f32_to_bf16(data_[i]) : f32_to_f16(data_[i]);
  });
}

}  // namespace octavo::ops
