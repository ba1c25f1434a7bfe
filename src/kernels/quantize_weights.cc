#include "kernels/quantize_weights.h"

#include <emmintrin.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace octavo::kernels {

namespace {

// SSE2, which every x86-64 has.
constexpr size_t kLanes = 4;
constexpr size_t kBlock = 4 * kLanes;  // one register of bytes
constexpr size_t kTile = 32;           // of a transpose: 32 x 32 floats are 4 KB on either side

// Four quotients, rounded half to even by the processor's default rounding mode and held to a
// range that survives the two saturating narrowings below.
inline __m128i round_four(const float* w, const float* scale, const float* zero) {
  const __m128 quotient = _mm_div_ps(_mm_loadu_ps(w), _mm_loadu_ps(scale));
  const __m128i rounded = _mm_cvtps_epi32(quotient);
  return _mm_add_epi32(rounded, _mm_cvttps_epi32(_mm_loadu_ps(zero)));
}

inline __m128i narrow(__m128i a, __m128i b, int8_t) { return _mm_packs_epi16(a, b); }
inline __m128i narrow(__m128i a, __m128i b, uint8_t) { return _mm_packus_epi16(a, b); }

template <class T>
inline void quantize_block(const float* w, const float* scale, const float* zero, T* q) {
  const __m128i a = round_four(w, scale, zero);
  const __m128i b = round_four(w + 4, scale + 4, zero + 4);
  const __m128i c = round_four(w + 8, scale + 8, zero + 8);
  const __m128i d = round_four(w + 12, scale + 12, zero + 12);
  const __m128i bytes = narrow(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d), T{});
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
}

template <class T>
void quantize_columns(size_t rows, size_t n, const float* w, const float* scale, const float* zero,
                      T* q) {
  const size_t whole = n / kBlock * kBlock;
  const size_t rest = n - whole;
  float last_scale[kBlock];
  float last_zero[kBlock] = {};
  std::fill_n(last_scale, kBlock, 1.0F);
  std::copy_n(scale + whole, rest, last_scale);
  std::copy_n(zero + whole, rest, last_zero);
  for (size_t r = 0; r < rows; ++r, w += n, q += n) {
    for (size_t c = 0; c < whole; c += kBlock) quantize_block(w + c, scale + c, zero + c, q + c);
    if (rest == 0) continue;
    float last[kBlock] = {};
    T bytes[kBlock];
    std::copy_n(w + whole, rest, last);
    quantize_block(last, last_scale, last_zero, bytes);
    std::copy_n(bytes, rest, q + whole);
  }
}

template <class T>
void transpose_as(size_t rows, size_t n, size_t c0, size_t c1, const void* from, void* to) {
  const auto* in = static_cast<const T*>(from);
  auto* out = static_cast<T*>(to);
  for (size_t r0 = 0; r0 < rows; r0 += kTile) {
    const size_t r1 = std::min(rows, r0 + kTile);
    for (size_t b = c0; b < c1; b += kTile) {
      const size_t e = std::min(c1, b + kTile);
      for (size_t c = b; c < e; ++c) {
        for (size_t r = r0; r < r1; ++r) out[c * rows + r] = in[r * n + c];
      }
    }
  }
}

}  // namespace

bool column_range_f32(size_t rows, size_t n, const float* w, float* low, float* high) {
  const size_t whole = n / kLanes * kLanes;
  const __m128 no_sign = _mm_castsi128_ps(_mm_set1_epi32(0x7fffffff));
  // Magnitudes as integers: in the order of the numbers, NaN above infinity.
  __m128i seen = _mm_setzero_si128();
  const __m128i limit = _mm_set1_epi32(0x7f7fffff);
  bool finite = true;
  for (size_t r = 0; r < rows; ++r, w += n) {
    for (size_t c = 0; c < whole; c += kLanes) {
      const __m128 x = _mm_loadu_ps(w + c);
      _mm_storeu_ps(low + c, _mm_min_ps(x, _mm_loadu_ps(low + c)));
      _mm_storeu_ps(high + c, _mm_max_ps(x, _mm_loadu_ps(high + c)));
      const __m128i magnitude = _mm_castps_si128(_mm_and_ps(x, no_sign));
      seen = _mm_or_si128(seen, _mm_cmpgt_epi32(magnitude, limit));
    }
    for (size_t c = whole; c < n; ++c) {
      low[c] = std::min(low[c], w[c]);
      high[c] = std::max(high[c], w[c]);
      finite = finite && std::abs(w[c]) <= std::numeric_limits<float>::max();
    }
  }
  return finite && _mm_movemask_epi8(seen) == 0;
}

void quantize_columns_f32_s8(size_t rows, size_t n, const float* w, const float* scale,
                             const float* zero, int8_t* q) {
  quantize_columns<int8_t>(rows, n, w, scale, zero, q);
}

void quantize_columns_f32_u8(size_t rows, size_t n, const float* w, const float* scale,
                             const float* zero, uint8_t* q) {
  quantize_columns<uint8_t>(rows, n, w, scale, zero, q);
}

void column_error_f32_s8(size_t rows, size_t ldw, size_t columns, const float* w,
                         const float* scale, double* error) {
  // Adding and taking away 1.5 * 2^23 rounds half to even what is below 2^22, in any vector unit.
  constexpr float kRound = 12582912.0F;
  for (size_t r = 0; r < rows; ++r, w += ldw) {
    for (size_t c = 0; c < columns; ++c) {
      const float quotient = std::clamp(w[c] / scale[c], -127.0F, 127.0F);
      const float q = (quotient + kRound) - kRound;
      const double apart = double{w[c]} - double{scale[c]} * double{q};
      error[c] += apart * apart;
    }
  }
}

void transpose(size_t rows, size_t n, size_t c0, size_t c1, size_t element, const void* from,
               void* to) {
  switch (element) {
    case 1:
      return transpose_as<uint8_t>(rows, n, c0, c1, from, to);
    case 2:
      return transpose_as<uint16_t>(rows, n, c0, c1, from, to);
    case 4:
      return transpose_as<uint32_t>(rows, n, c0, c1, from, to);
    default:
      return transpose_as<uint64_t>(rows, n, c0, c1, from, to);
  }
}

}  // namespace octavo::kernels
