#pragma once
// Element-wise ops of one input, in place when the input dies.

#include <algorithm>

#include "runtime/ops/binary.h"
#include "runtime/ops/elements.h"

namespace octavo::ops {

// f takes Compute<T> and returns Compute<R>.
template <class T, class R, class F>
Status unary(OpContext& context, size_t grain, const F& f) {
  const Tensor& x = context.required(0);
  constexpr std::array<size_t, 1> first = {0};
  const std::span<const size_t> over(first.data(), sizeof(T) == sizeof(R) ? 1 : 0);
  OCTAVO_TRY(Tensor * y, context.output_over(0, element_dtype<R>(), x.shape(), over));
  const T* px = elements<T>(x);
  R* py = elements<R>(*y);
  context.pool().parallel_for(static_cast<size_t>(x.size()), grain, [&](size_t begin, size_t end) {
#pragma GCC ivdep
    for (size_t i = begin; i < end; ++i) py[i] = R(f(Compute<T>(px[i])));
  });
  return Done{};
}

// A kernel on float32, the same kernel through a float buffer for half types, f for float64.
template <class F>
Status unary_kernel(OpContext& context, kernels::UnaryF32 kernel, const F& f) {
  const Tensor& x = context.required(0);
  return dispatch(Floats{}, x.dtype(), [&]<class T>() -> Status {
    if constexpr (std::is_same_v<T, double>) {
      return unary<T, T>(context, kCostlyGrain, f);
    } else {
      constexpr std::array<size_t, 1> first = {0};
      OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), first));
      const T* px = elements<T>(x);
      T* py = elements<T>(*y);
      const auto n = static_cast<size_t>(x.size());
      context.pool().parallel_for(n, kCostlyGrain, [&](size_t begin, size_t end) {
        if constexpr (std::is_same_v<T, float>) {
          kernel(end - begin, px + begin, py + begin);
        } else {
          std::array<float, 256> buffer;
          for (size_t i = begin; i < end; i += buffer.size()) {
            const size_t count = std::min(buffer.size(), end - i);
            for (size_t k = 0; k < count; ++k) buffer[k] = static_cast<float>(px[i + k]);
            kernel(count, buffer.data(), buffer.data());
            for (size_t k = 0; k < count; ++k) py[i + k] = T(buffer[k]);
          }
        }
      });
      return Done{};
    }
  });
}

}  // namespace octavo::ops
