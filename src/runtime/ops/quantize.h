#pragma once
// Linear quantization as ONNX defines it: round half to even of x / scale, plus the zero point,
// clamped to the type.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "runtime/op.h"

namespace octavo::ops {

// clamp(round(v) + zero) into T; a NaN gives the lowest value, as the kernels do.
template <class T>
T round_into(float v, int32_t zero, int32_t low = std::numeric_limits<T>::lowest(),
             int32_t high = std::numeric_limits<T>::max()) {
  const auto bottom = static_cast<float>(low - zero);
  const auto top = static_cast<float>(high - zero);
  const float r = std::nearbyint(v);
  const float clamped = std::min(r > bottom ? r : bottom, top);
  return static_cast<T>(static_cast<int32_t>(clamped) + zero);
}

struct LinearU8 {
  float scale;
  uint8_t zero;
};

// DynamicQuantizeLinear: the range of x, widened to hold 0, onto 0..255. Errors: x holds a NaN or
// an infinity, whose scale would turn every other value into noise.
Result<LinearU8> dynamic_u8(OpContext& context, std::span<const float> x, uint8_t* y);

}  // namespace octavo::ops
