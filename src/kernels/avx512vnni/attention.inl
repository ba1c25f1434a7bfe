// The two integer products of attention in tiles of up to 6 x 64: 24 accumulators, per pair of
// channels (or keys) four loads and one broadcast per row, vpdpwssd. Exact by the limits of
// kernels/attention.h.

// One instruction in asm for the same reason as dot4's (gemm_u8s8.inl). vpdpwssd does not saturate.
inline void dot2(__m512i& acc, __m512i a, __m512i b) {
#ifdef __AVX512VNNI__
  asm("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
#else
  acc = _mm512_dpwssd_epi32(acc, a, b);
#endif
}

inline __m512i repeat_pair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm512_set1_epi32(pair);
}

// acc += a . b: `a` rows of pairs, `b` 16 * kVectors columns of pairs, b_row int16 from pair to
// pair.
template <int kRows, int kVectors>
inline void dot_pairs(size_t pairs, const int16_t* a, size_t lda, const int16_t* b, size_t b_row,
                      __m512i (&acc)[kRows][kVectors]) {
  for (; pairs > 0; --pairs) {
    __m512i column[kVectors];
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) column[j] = _mm512_loadu_si512(b + 32 * j);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i row = repeat_pair(a + static_cast<size_t>(i) * lda);
#pragma GCC unroll 32
      for (int j = 0; j < kVectors; ++j) dot2(acc[i][j], row, column[j]);
    }
    a += 2;
    b += b_row;
  }
}

template <int kRows, int kVectors>
inline void clear(__m512i (&acc)[kRows][kVectors]) {
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm512_setzero_si512();
  }
}

template <int kRows, int kVectors>
void tile_scores_of(size_t d, const int16_t* q, size_t ldq, const int16_t* keys,
                    int32_t* products) {
  __m512i acc[kRows][kVectors];
  clear(acc);
  dot_pairs(d / 2, q, ldq, keys, 2 * kBlockKeys, acc);
  if (d % 2 != 0) {
    // A pair whose second half would lie behind the row; its key is zero.
    const int16_t* last = keys + d / 2 * (2 * kBlockKeys);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i row = _mm512_set1_epi32(q[static_cast<size_t>(i) * ldq + d - 1]);
#pragma GCC unroll 32
      for (int j = 0; j < kVectors; ++j) dot2(acc[i][j], row, _mm512_loadu_si512(last + 32 * j));
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      _mm512_storeu_si512(products + static_cast<size_t>(i) * kBlockKeys + 16 * j, acc[i][j]);
    }
  }
}

template <int kRows>
void tile_scores_rows(size_t vectors, size_t d, const int16_t* q, size_t ldq, const int16_t* keys,
                      int32_t* products) {
  switch (vectors) {
    case 1:
      return tile_scores_of<kRows, 1>(d, q, ldq, keys, products);
    case 2:
      return tile_scores_of<kRows, 2>(d, q, ldq, keys, products);
    case 3:
      return tile_scores_of<kRows, 3>(d, q, ldq, keys, products);
    default:
      return tile_scores_of<kRows, 4>(d, q, ldq, keys, products);
  }
}

void tile_scores(size_t rows, size_t vectors, size_t d, const int16_t* q, size_t ldq,
                 const int16_t* keys, int32_t* products) {
  switch (rows) {
    case 1:
      return tile_scores_rows<1>(vectors, d, q, ldq, keys, products);
    case 2:
      return tile_scores_rows<2>(vectors, d, q, ldq, keys, products);
    case 3:
      return tile_scores_rows<3>(vectors, d, q, ldq, keys, products);
    case 4:
      return tile_scores_rows<4>(vectors, d, q, ldq, keys, products);
    case 5:
      return tile_scores_rows<5>(vectors, d, q, ldq, keys, products);
    default:
      return tile_scores_rows<6>(vectors, d, q, ldq, keys, products);
  }
}

struct ValueTile {
  size_t pairs;
  size_t padded;
  const int16_t* probabilities;
  const int16_t* values;
  const float* before;
  const float* now;
  float* out;
};

template <int kRows, int kVectors>
void tile_values_of(const ValueTile& t) {
  __m512i acc[kRows][kVectors];
  clear(acc);
  dot_pairs(t.pairs, t.probabilities, kBlockKeys, t.values, 2 * t.padded, acc);
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    const __m512 before = _mm512_set1_ps(t.before[i]);
    const __m512 now = _mm512_set1_ps(t.now[i]);
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      float* out = t.out + static_cast<size_t>(i) * t.padded + 16 * j;
      const __m512 kept = _mm512_mul_ps(_mm512_loadu_ps(out), before);
      _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i][j]), now, kept));
    }
  }
}

template <int kRows>
void tile_values_rows(ValueTile t) {
  size_t left = t.padded;
  for (; left >= 64; left -= 64) {
    tile_values_of<kRows, 4>(t);
    t.values += 128;
    t.out += 64;
  }
  switch (left) {
    case 16:
      return tile_values_of<kRows, 1>(t);
    case 32:
      return tile_values_of<kRows, 2>(t);
    case 48:
      return tile_values_of<kRows, 3>(t);
    default:
      return;
  }
}

// out[c] = out[c] * before + now * float(p . v[c]) over 32 keys a half.
void tile_values(size_t rows, size_t halves, size_t padded, const int16_t* probabilities,
                 const int16_t* values, const float* before, const float* now, float* out) {
  const ValueTile t{halves * 16, padded, probabilities, values, before, now, out};
  switch (rows) {
    case 1:
      return tile_values_rows<1>(t);
    case 2:
      return tile_values_rows<2>(t);
    case 3:
      return tile_values_rows<3>(t);
    case 4:
      return tile_values_rows<4>(t);
    case 5:
      return tile_values_rows<5>(t);
    default:
      return tile_values_rows<6>(t);
  }
}
