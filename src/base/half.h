#pragma once
// IEEE binary16 and bfloat16 as bit patterns, converted without hardware so that every CPU gives
// the same bits. Rounding is to nearest, ties to even; NaN stays NaN.

#include <bit>
#include <cstdint>

namespace octavo {

constexpr float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

constexpr uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

constexpr float f16_to_f32(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  uint32_t exponent = (half >> 10) & 0x1fU;
  uint32_t mantissa = half & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    exponent = 1;  // subnormal: shift until the implicit one is in place
    while ((mantissa & 0x400U) == 0) {
      mantissa <<= 1;
      --exponent;
    }
    mantissa &= 0x3ffU;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

constexpr uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<uint16_t>(sign | 0x7e00U);
  if (magnitude >= 0x47800000U) return static_cast<uint16_t>(sign | 0x7c00U);  // >= 65536
  if (magnitude < 0x38800000U) {                      // below 2^-14: subnormal or zero
    if (magnitude < 0x33000000U) return sign;         // below half of the smallest subnormal
    const uint32_t shift = 126U - (magnitude >> 23);  // 14..24
    const uint32_t mantissa = (magnitude & 0x7fffffU) | 0x800000U;
    const uint32_t kept = mantissa >> shift;
    const uint32_t rest = mantissa & ((1U << shift) - 1U);
    const uint32_t half = 1U << (shift - 1U);
    return static_cast<uint16_t>(sign + kept +
                                 ((rest > half || (rest == half && (kept & 1U) != 0)) ? 1U : 0U));
  }
  const uint32_t rebased = magnitude - 0x38000000U;
  const uint32_t rounded = rebased + 0xfffU + ((rebased >> 13) & 1U);  // may carry up to infinity
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

}  // namespace octavo
