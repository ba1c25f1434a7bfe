#pragma once
// Stands in for the compiler's <immintrin.h> where the kernels of AVX2, AVX-512 and AMX are
// compiled for a CPU without them: SIMDe spells each intrinsic in plain C, tiles.h those of tiles.
// What SIMDe 0.7.4 does not have, or does otherwise (a fused multiply-add rounded twice, scalef to
// a denormal, a masked load that reads what is masked), is spelled here.

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace octavo::simde {

template <class E, class V>
auto lanes(const V& v) {
  std::array<E, sizeof(V) / sizeof(E)> out;
  __builtin_memcpy(out.data(), &v, sizeof v);
  return out;
}
template <class V, class Array>
V vector(const Array& lanes) {
  static_assert(sizeof(V) == sizeof(Array));
  V out;
  __builtin_memcpy(&out, lanes.data(), sizeof out);
  return out;
}

template <class V>
V fmadd(const V& a, const V& b, const V& c) {
  const auto x = lanes<float>(a);
  const auto y = lanes<float>(b);
  auto z = lanes<float>(c);
  for (size_t i = 0; i < z.size(); ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return vector<V>(z);
}

inline __m512 scalef(const __m512& a, const __m512& b) {
  auto x = lanes<float>(a);
  const auto n = lanes<float>(b);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = std::isnan(n[i]) ? n[i] : std::ldexp(x[i], static_cast<int>(std::floor(n[i])));
  }
  return vector<__m512>(x);
}

inline __m512i to_int(const __m512& a) {
  const auto x = lanes<float>(a);
  std::array<int32_t, 16> y;
  for (size_t i = 0; i < 16; ++i) {
    y[i] = std::abs(x[i]) < 0x1p31F ? static_cast<int32_t>(std::nearbyint(x[i])) : INT32_MIN;
  }
  return vector<__m512i>(y);
}

inline __m128i low_bytes(const __m512i& a) {
  const auto x = lanes<int32_t>(a);
  std::array<int8_t, 16> y;
  for (size_t i = 0; i < 16; ++i) y[i] = static_cast<int8_t>(x[i]);
  return vector<__m128i>(y);
}

// Sixteen numbers of one type as another: the conversions that SIMDe 0.7.4 does not have.
template <class V, class To, class From, class A>
V convert(const A& a) {
  const auto x = lanes<From>(a);
  std::array<To, sizeof(V) / sizeof(To)> y;
  for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<To>(x[i]);
  return vector<V>(y);
}
inline __m128i saturated_bytes(const __m512i& a) {
  const auto x = lanes<uint32_t>(a);
  std::array<uint8_t, 16> y;
  for (size_t i = 0; i < 16; ++i) y[i] = static_cast<uint8_t>(std::min(x[i], 255U));
  return vector<__m128i>(y);
}

inline __m512 to_float(const __m512i& a) {
  const auto x = lanes<int32_t>(a);
  std::array<float, 16> y;
  for (size_t i = 0; i < 16; ++i) y[i] = static_cast<float>(x[i]);
  return vector<__m512>(y);
}

// Quarters of 128 bits: two of a, two of b.
inline __m512 shuffle_quarters(const __m512& a, const __m512& b, unsigned which) {
  const auto x = lanes<float>(a);
  const auto y = lanes<float>(b);
  std::array<float, 16> z;
  for (size_t i = 0; i < 16; ++i) {
    const size_t from = (which >> (i / 4 * 2) & 3U) * 4 + i % 4;
    z[i] = i < 8 ? x[from] : y[from];
  }
  return vector<__m512>(z);
}

inline __m256i low_words(const __m512i& a) {
  const auto x = lanes<int32_t>(a);
  std::array<int16_t, 16> y;
  for (size_t i = 0; i < 16; ++i) y[i] = static_cast<int16_t>(x[i]);
  return vector<__m256i>(y);
}

template <class V, class E>
V masked_load(uint32_t mask, const void* from) {
  std::array<E, sizeof(V) / sizeof(E)> out{};
  for (size_t i = 0; i < out.size(); ++i) {
    if ((mask >> i & 1U) != 0) out[i] = static_cast<const E*>(from)[i];
  }
  return vector<V>(out);
}
template <class E, class V>
void masked_store(void* to, uint32_t mask, const V& v) {
  const auto x = lanes<E>(v);
  for (size_t i = 0; i < x.size(); ++i) {
    if ((mask >> i & 1U) != 0) static_cast<E*>(to)[i] = x[i];
  }
}

// AVX2 masks are the sign bits of a vector.
inline uint32_t mask_bits(const __m256i& mask) {
  const auto x = lanes<int32_t>(mask);
  uint32_t bits = 0;
  for (size_t i = 0; i < 8; ++i) bits |= (x[i] < 0 ? 1U : 0U) << i;
  return bits;
}

template <int kHalf>
__m256 half(const __m512& a) {
  const auto x = lanes<float>(a);
  std::array<float, 8> y;
  for (size_t i = 0; i < 8; ++i) y[i] = x[kHalf * 8 + i];
  return vector<__m256>(y);
}

}  // namespace octavo::simde

using __mmask16 = uint16_t;
#ifndef _MM_FROUND_NO_EXC
#define _MM_FROUND_NO_EXC SIMDE_MM_FROUND_NO_EXC
#endif

#undef _mm256_maskload_ps
#undef _mm256_maskload_epi32
#undef _mm256_maskstore_ps
#undef _mm256_maskstore_epi32
#define _mm256_maskload_ps(from, mask) \
  octavo::simde::masked_load<__m256, float>(octavo::simde::mask_bits(mask), from)
#define _mm256_maskload_epi32(from, mask) \
  octavo::simde::masked_load<__m256i, int32_t>(octavo::simde::mask_bits(mask), from)
#define _mm256_maskstore_ps(to, mask, a) \
  octavo::simde::masked_store<float>(to, octavo::simde::mask_bits(mask), a)
#define _mm256_maskstore_epi32(to, mask, a) \
  octavo::simde::masked_store<int32_t>(to, octavo::simde::mask_bits(mask), a)
#undef _mm256_fmadd_ps
#undef _mm512_fmadd_ps
#undef _mm512_scalef_ps
#define _mm256_fmadd_ps(a, b, c) octavo::simde::fmadd<__m256>(a, b, c)
#define _mm512_fmadd_ps(a, b, c) octavo::simde::fmadd<__m512>(a, b, c)
#define _mm512_scalef_ps(a, b) octavo::simde::scalef(a, b)
#define _mm512_cvtps_epi32(a) octavo::simde::to_int(a)
#define _mm512_shuffle_f32x4(a, b, which) octavo::simde::shuffle_quarters(a, b, which)
#define _mm512_cvtepi32_epi16(a) octavo::simde::low_words(a)
#define _mm256_mask_storeu_epi16(to, mask, a) octavo::simde::masked_store<int16_t>(to, mask, a)
#define _mm512_cvtepi32_epi8(a) octavo::simde::low_bytes(a)
#define _mm512_maskz_loadu_ps(mask, from) octavo::simde::masked_load<__m512, float>(mask, from)
#define _mm512_maskz_loadu_epi32(mask, from) \
  octavo::simde::masked_load<__m512i, int32_t>(mask, from)
#define _mm512_mask_storeu_ps(to, mask, a) octavo::simde::masked_store<float>(to, mask, a)
#define _mm512_mask_storeu_epi32(to, mask, a) octavo::simde::masked_store<int32_t>(to, mask, a)
#define _mm_mask_storeu_epi8(to, mask, a) octavo::simde::masked_store<int8_t>(to, mask, a)
#define _mm512_extractf32x8_ps(a, half_of) octavo::simde::half<half_of>(a)
#define _mm512_cvtepi32_ps(a) octavo::simde::convert<__m512, float, int32_t>(a)
#define _mm512_cvtepi8_epi32(a) octavo::simde::convert<__m512i, int32_t, int8_t>(a)
#define _mm512_cvtepu16_epi32(a) octavo::simde::convert<__m512i, uint32_t, uint16_t>(a)
#define _mm512_cvtusepi32_epi8(a) octavo::simde::saturated_bytes(a)

#include "tiles.h"
