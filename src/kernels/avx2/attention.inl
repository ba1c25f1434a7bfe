// The two integer products of attention in tiles of up to 6 x 16: 12 accumulators, per pair of
// channels (or keys) two loads and one broadcast per row, vpmaddwd + vpaddd. Exact by the limits of
// kernels/attention.h.

inline __m256i repeat_query_pair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}
inline __m256i load_words(const int16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// acc += a . b: `a` rows of pairs, `b` 16 columns of pairs, b_row int16 from pair to pair.
template <int kRows>
inline void dot_pairs(size_t pairs, const int16_t* a, size_t lda, const int16_t* b, size_t b_row,
                      __m256i (&acc)[kRows][2]) {
  for (; pairs > 0; --pairs) {
    const __m256i column0 = load_words(b);
    const __m256i column1 = load_words(b + 16);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256i row = repeat_query_pair(a + static_cast<size_t>(i) * lda);
      multiply_add(acc[i][0], row, column0);
      multiply_add(acc[i][1], row, column1);
    }
    a += 2;
    b += b_row;
  }
}

template <int kRows>
inline void clear(__m256i (&acc)[kRows][2]) {
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    acc[i][0] = _mm256_setzero_si256();
    acc[i][1] = _mm256_setzero_si256();
  }
}

template <int kRows>
void tile_scores_rows(size_t vectors, size_t d, const int16_t* q, size_t ldq, const int16_t* keys,
                      int32_t* products) {
  for (size_t v = 0; v < vectors; ++v, keys += 32, products += 16) {
    __m256i acc[kRows][2];
    clear(acc);
    dot_pairs(d / 2, q, ldq, keys, 2 * kBlockKeys, acc);
    if (d % 2 != 0) {
      // A pair whose second half would lie behind the row; its key is zero.
      const int16_t* last = keys + d / 2 * (2 * kBlockKeys);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) {
        const __m256i row = _mm256_set1_epi32(q[static_cast<size_t>(i) * ldq + d - 1]);
        multiply_add(acc[i][0], row, load_words(last));
        multiply_add(acc[i][1], row, load_words(last + 16));
      }
    }
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      auto* to = reinterpret_cast<__m256i*>(products + static_cast<size_t>(i) * kBlockKeys);
      _mm256_storeu_si256(to, acc[i][0]);
      _mm256_storeu_si256(to + 1, acc[i][1]);
    }
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

template <int kRows>
void tile_values_rows(ValueTile t) {
  for (size_t left = t.padded; left > 0; left -= 16, t.values += 32, t.out += 16) {
    __m256i acc[kRows][2];
    clear(acc);
    dot_pairs(t.pairs, t.probabilities, kBlockKeys, t.values, 2 * t.padded, acc);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256 before = _mm256_set1_ps(t.before[i]);
      const __m256 now = _mm256_set1_ps(t.now[i]);
      float* out = t.out + static_cast<size_t>(i) * t.padded;
#pragma GCC unroll 32
      for (int j = 0; j < 2; ++j) {
        const __m256 kept = _mm256_mul_ps(_mm256_loadu_ps(out + 8 * j), before);
        _mm256_storeu_ps(out + 8 * j, _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[i][j]), now, kept));
      }
    }
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
