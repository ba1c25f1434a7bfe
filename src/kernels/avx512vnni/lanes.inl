// ref/lanes.inl in AVX-512: sixteen lanes are one register. Included inside the anonymous namespace
// of avx512vnni/table.cc.

constexpr size_t kLanes = 16;

struct F {
  __m512 v;
};

inline __mmask16 below(size_t n) { return static_cast<__mmask16>((1U << n) - 1U); }

inline F set(float x) { return {_mm512_set1_ps(x)}; }
inline F load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F load(const float* p, size_t n) { return {_mm512_maskz_loadu_ps(below(n), p)}; }
inline void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
inline void store(float* p, F a, size_t n) { _mm512_mask_storeu_ps(p, below(n), a.v); }
inline F first(F a, size_t n, F b) { return {_mm512_mask_blend_ps(below(n), b.v, a.v)}; }

inline F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }
inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F abs(F a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0F), a.v)}; }
inline F negate(F a) { return {_mm512_xor_ps(_mm512_set1_ps(-0.0F), a.v)}; }
inline F copysign(F magnitude, F sign) {
  const __m512 bit = _mm512_set1_ps(-0.0F);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
inline F round(F a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline F select_less(F a, F b, F x, F y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
// One instruction that rounds once, like the two products of ref.
inline F ldexp(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }

template <__m256 (*combine8)(__m256, __m256), __m128 (*combine4)(__m128, __m128)>
inline float reduce(F a) {
  const __m256 eight = combine8(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = combine4(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = combine4(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(combine4(two, _mm_movehdup_ps(two)));
}
inline __m256 add8(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }
inline __m256 min8(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
inline __m256 max8(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
inline __m128 add4(__m128 a, __m128 b) { return _mm_add_ps(a, b); }
inline __m128 min4(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
inline __m128 max4(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
inline float reduce_add(F a) { return reduce<add8, add4>(a); }
inline float reduce_min(F a) { return reduce<min8, min4>(a); }
inline float reduce_max(F a) { return reduce<max8, max4>(a); }

template <class T>
inline void store_bytes(T* p, F a, int zero, size_t n) {
  const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(zero));
  _mm_mask_storeu_epi8(p, below(n), _mm512_cvtepi32_epi8(whole));
}

// The narrowing saturates at 255, for which it takes its numbers as unsigned.
inline void store_clamped(uint8_t* p, F a, int zero) {
  const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(zero));
  const __m512i positive = _mm512_max_epi32(whole, _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
}

inline F load_s32(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
inline F load_s8(const int8_t* p) {
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(all))};
}
inline F load_bf16(const uint16_t* p) {
  const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(all), 16))};
}

inline F add_exponent(F a, F bits) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(
      _mm512_castps_si512(a.v), _mm512_slli_epi32(_mm512_castps_si512(bits.v), 23)))};
}

inline F load_int(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
inline void store_words(int16_t* p, F a, size_t n) {
  const __m256i words = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a.v));
  if (n == kLanes) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), words);
  _mm256_mask_storeu_epi16(p, below(n), words);
}
inline void store_alternating(int16_t* p, F a, F b) {
  const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(0xffff));
  const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(b.v), 16);
  _mm512_storeu_si512(p, _mm512_or_si512(low, high));
}
inline void store_by_fours(int16_t* p, F a, F b) {
  _mm512_storeu_si512(p, _mm512_packs_epi32(_mm512_cvtps_epi32(a.v), _mm512_cvtps_epi32(b.v)));
}

// Among floats of negative sign the order of the bits is the reverse, and integers are compared by
// more of the CPU's units.
inline F at_least(F x, float low) {
  const __m512i bits = _mm512_castps_si512(x.v);
  return {_mm512_castsi512_ps(_mm512_min_epu32(bits, _mm512_castps_si512(_mm512_set1_ps(low))))};
}

// The tree of `reduce` for six rows at once: each step joins the halves of two vectors in one.
template <F (*combine)(F, F)>
inline F reduce_rows(const float* p) {
  const auto row = [p](int r) { return _mm512_loadu_ps(p + 16 * r); };
  const auto eights = [](__m512 a, __m512 b) {
    return combine({_mm512_shuffle_f32x4(a, b, 0x44)}, {_mm512_shuffle_f32x4(a, b, 0xee)}).v;
  };
  const auto fours = [](__m512 a, __m512 b) {
    return combine({_mm512_shuffle_f32x4(a, b, 0x88)}, {_mm512_shuffle_f32x4(a, b, 0xdd)}).v;
  };
  const __m512 last = eights(row(4), row(5));
  const __m512 q0 = fours(eights(row(0), row(1)), eights(row(2), row(3)));
  const __m512 q1 = fours(last, last);
  const __m512 twos =
      combine({_mm512_shuffle_ps(q0, q1, 0x44)}, {_mm512_shuffle_ps(q0, q1, 0xee)}).v;
  const F ones =
      combine({_mm512_shuffle_ps(twos, twos, 0x88)}, {_mm512_shuffle_ps(twos, twos, 0xdd)});
  // Rows 0 to 3 begin the quarters, 4 and 5 follow in the first two.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return {_mm512_permutexvar_ps(order, ones.v)};
}
inline F reduce_add_rows(const float* p) { return reduce_rows<add>(p); }
inline F reduce_max_rows(const float* p) { return reduce_rows<max>(p); }

inline F larger(F a, F b) {
  return {
      _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v)))};
}
inline F reduce_larger_rows(const float* p) { return reduce_rows<larger>(p); }
inline F int_of_bits(F a) { return {_mm512_cvtepi32_ps(_mm512_castps_si512(a.v))}; }

// vpermps looks at four bits; the conversion of a NaN has zeros there.
struct Index {
  __m512i v;
};
inline Index index(F a) { return {_mm512_cvtps_epi32(a.v)}; }
inline F lookup(const float* eight, Index which) {
  const __m512 table = _mm512_broadcast_f32x8(_mm256_loadu_ps(eight));
  return {_mm512_permutexvar_ps(which.v, table)};
}
