#pragma once
// Rotary position embedding of one head: pairs of channels turned by the angle of the position.

#include <cstddef>

namespace octavo::ops {

// x and y: `size` channels, of which the first 2 * `half` turn and the others are copied. Pairs are
// (i, i + half), or (2i, 2i + 1) when interleaved. cos and sin: the position's row, `half` values.
// y may be x.
inline void rotate_head(const float* x, size_t size, size_t half, const float* cos,
                        const float* sin, bool interleaved, float* y) {
  const size_t step = interleaved ? 2 : 1;
  const size_t apart = interleaved ? 1 : half;
  for (size_t i = 0; i < half; ++i) {
    const float a = x[i * step];
    const float b = x[i * step + apart];
    y[i * step] = a * cos[i] - b * sin[i];
    y[i * step + apart] = b * cos[i] + a * sin[i];
  }
  for (size_t i = 2 * half; i < size; ++i) y[i] = x[i];
}

}  // namespace octavo::ops
