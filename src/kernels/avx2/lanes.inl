// ref/lanes.inl in AVX2: sixteen lanes are two registers. Included inside the anonymous namespace
// of avx2/table.cc.

constexpr size_t kLanes = 16;

struct F {
  __m256 low;
  __m256 high;
};

// Sixteen -1, then sixteen 0: eight from [16 - n] are the mask of the first n lanes.
alignas(64) constexpr int32_t kMask[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                           -1, -1, -1, -1, -1, 0,  0,  0,  0,  0,  0,
                                           0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
// Lanes [8 half, 8 half + 8) of the mask of the first n <= 16.
inline __m256i below(size_t n, size_t half) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 16 - n + 8 * half));
}

inline F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F load(const float* p, size_t n) {
  return {_mm256_maskload_ps(p, below(n, 0)), _mm256_maskload_ps(p + 8, below(n, 1))};
}
inline void store(float* p, F a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline void store(float* p, F a, size_t n) {
  _mm256_maskstore_ps(p, below(n, 0), a.low);
  _mm256_maskstore_ps(p + 8, below(n, 1), a.high);
}
inline F first(F a, size_t n, F b) {
  return {_mm256_blendv_ps(b.low, a.low, _mm256_castsi256_ps(below(n, 0))),
          _mm256_blendv_ps(b.high, a.high, _mm256_castsi256_ps(below(n, 1)))};
}

inline F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline F fma(F a, F b, F c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline F sqrt(F a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
inline F min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline F abs(F a) {
  const __m256 bit = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(bit, a.low), _mm256_andnot_ps(bit, a.high)};
}
inline F negate(F a) {
  const __m256 bit = _mm256_set1_ps(-0.0F);
  return {_mm256_xor_ps(bit, a.low), _mm256_xor_ps(bit, a.high)};
}
inline F copysign(F magnitude, F sign) {
  const __m256 bit = _mm256_set1_ps(-0.0F);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.low), _mm256_and_ps(bit, sign.low)),
          _mm256_or_ps(_mm256_andnot_ps(bit, magnitude.high), _mm256_and_ps(bit, sign.high))};
}
inline F round(F a) {
  constexpr int kEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.low, kEven), _mm256_round_ps(a.high, kEven)};
}
inline F select_less(F a, F b, F x, F y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}

inline __m256 ldexp8(__m256 a, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i p = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i q = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(p)), _mm256_castsi256_ps(q));
}
inline F ldexp(F a, F n) { return {ldexp8(a.low, n.low), ldexp8(a.high, n.high)}; }

template <__m256 (*combine8)(__m256, __m256), __m128 (*combine4)(__m128, __m128)>
inline float reduce(F a) {
  const __m256 eight = combine8(a.low, a.high);
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

// The packs saturate, but every lane is in range by then.
inline __m128i bytes(__m128i words_low, __m128i words_high, uint8_t) {
  return _mm_packus_epi16(words_low, words_high);
}
inline __m128i bytes(__m128i words_low, __m128i words_high, int8_t) {
  return _mm_packs_epi16(words_low, words_high);
}
inline __m128i words(__m256 a, int zero) {
  const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(zero));
  return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}
template <class T>
inline void store_bytes(T* p, F a, int zero, size_t n) {
  const __m128i all = bytes(words(a.low, zero), words(a.high, zero), T{});
  if (n == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), all);
    return;
  }
  alignas(16) T buffer[kLanes];
  _mm_store_si128(reinterpret_cast<__m128i*>(buffer), all);
  for (size_t i = 0; i < n; ++i) p[i] = buffer[i];
}

// The packs saturate, which is the clamping.
inline void store_clamped(uint8_t* p, F a, int zero) {
  const __m128i all = _mm_packus_epi16(words(a.low, zero), words(a.high, zero));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), all);
}

inline F load_s32(const int32_t* p) {
  const auto* from = reinterpret_cast<const __m256i*>(p);
  return {_mm256_cvtepi32_ps(_mm256_loadu_si256(from)),
          _mm256_cvtepi32_ps(_mm256_loadu_si256(from + 1))};
}
inline F load_s8(const int8_t* p) {
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8)))};
}
inline __m256 load_bf16x8(const uint16_t* p) {
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(all), 16));
}
inline F load_bf16(const uint16_t* p) { return {load_bf16x8(p), load_bf16x8(p + 8)}; }

inline __m256 add_exponent8(__m256 a, __m256 bits) {
  return _mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(bits), 23)));
}
inline F add_exponent(F a, F bits) {
  return {add_exponent8(a.low, bits.low), add_exponent8(a.high, bits.high)};
}

inline __m256 load_int8(const int32_t* p) {
  return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F load_int(const int32_t* p) { return {load_int8(p), load_int8(p + 8)}; }
inline void store_half(int16_t* p, __m256i a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
}
// The packs saturate, but every lane is in range by then.
inline void store_words(int16_t* p, F a, size_t n) {
  const __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  const __m256i all = _mm256_permute4x64_epi64(both, _MM_SHUFFLE(3, 1, 2, 0));
  if (n == kLanes) return store_half(p, all);
  alignas(32) int16_t buffer[kLanes];
  store_half(buffer, all);
  for (size_t i = 0; i < n; ++i) p[i] = buffer[i];
}
inline __m256i alternating(__m256 a, __m256 b) {
  return _mm256_blend_epi16(_mm256_cvtps_epi32(a), _mm256_slli_epi32(_mm256_cvtps_epi32(b), 16),
                            0xaa);
}
inline void store_alternating(int16_t* p, F a, F b) {
  store_half(p, alternating(a.low, b.low));
  store_half(p + kLanes, alternating(a.high, b.high));
}
inline void store_by_fours(int16_t* p, F a, F b) {
  store_half(p, _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(b.low)));
  store_half(p + kLanes,
             _mm256_packs_epi32(_mm256_cvtps_epi32(a.high), _mm256_cvtps_epi32(b.high)));
}

// Among floats of negative sign the order of the bits is the reverse, and integers are compared by
// more of the CPU's units.
inline F at_least(F x, float low) {
  const __m256i limit = _mm256_castps_si256(_mm256_set1_ps(low));
  return {_mm256_castsi256_ps(_mm256_min_epu32(_mm256_castps_si256(x.low), limit)),
          _mm256_castsi256_ps(_mm256_min_epu32(_mm256_castps_si256(x.high), limit))};
}

// The tree of `reduce` for six rows at once: each step joins the halves of two vectors in one.
template <__m256 (*combine)(__m256, __m256)>
inline F reduce_rows(const float* p) {
  const auto row = [p](int r) {
    return combine(_mm256_loadu_ps(p + 16 * r), _mm256_loadu_ps(p + 16 * r + 8));
  };
  const auto fours = [](__m256 a, __m256 b) {
    return combine(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  };
  const auto twos = [](__m256 a, __m256 b) {
    return combine(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
  };
  const __m256 last = fours(row(4), row(5));
  const __m256 q0 = twos(fours(row(0), row(1)), fours(row(2), row(3)));
  const __m256 q1 = twos(last, last);
  const __m256 ones = combine(_mm256_shuffle_ps(q0, q1, 0x88), _mm256_shuffle_ps(q0, q1, 0xdd));
  // 0 2 4 4 in one half, 1 3 5 5 in the other.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 0, 0);
  return {_mm256_permutevar8x32_ps(ones, order), _mm256_setzero_ps()};
}
inline F reduce_add_rows(const float* p) { return reduce_rows<add8>(p); }
inline F reduce_max_rows(const float* p) { return reduce_rows<max8>(p); }

inline __m256 larger8(__m256 a, __m256 b) {
  return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
inline F larger(F a, F b) { return {larger8(a.low, b.low), larger8(a.high, b.high)}; }
inline F reduce_larger_rows(const float* p) { return reduce_rows<larger8>(p); }
inline F int_of_bits(F a) {
  return {_mm256_cvtepi32_ps(_mm256_castps_si256(a.low)),
          _mm256_cvtepi32_ps(_mm256_castps_si256(a.high))};
}

// vpermps looks at three bits; the conversion of a NaN has zeros there.
struct Index {
  __m256i low;
  __m256i high;
};
inline Index index(F a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
inline F lookup(const float* eight, Index which) {
  const __m256 table = _mm256_loadu_ps(eight);
  return {_mm256_permutevar8x32_ps(table, which.low), _mm256_permutevar8x32_ps(table, which.high)};
}
