// C = A B in tiles of 6 x 8, exact: both sides widened to 16 bits, then vpmaddwd, whose sums of two
// products stay below 2^17. vpmaddubsw would save the widening (108 against 81 GMAC/s, measured on
// Zen 4), but it saturates at 255 * 127 * 2. Of the last, incomplete group of four k only the bytes
// of A that exist are read.

struct TileS8 {
  size_t k;
  const uint8_t* a;
  size_t lda;
  const uint8_t* zero;
  size_t zero_stride;
  const int8_t* panel;  // at the first of the eight columns
  const int32_t* sums;
  int32_t* c;
  size_t ldc;
  size_t columns;  // that exist, at most 8
};

// The first n bytes at p, then zeros.
inline int32_t some_bytes(const uint8_t* p, size_t n) {
  uint32_t word = 0;
  for (size_t i = 0; i < n; ++i) word |= static_cast<uint32_t>(p[i]) << (8 * i);
  return static_cast<int32_t>(word);
}
inline int32_t four_bytes(const uint8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return word;
}
// Four bytes as four 16-bit numbers, four times.
inline __m256i widen_row(int32_t word) { return _mm256_cvtepu8_epi16(_mm_set1_epi32(word)); }
// Four columns of four k.
inline __m256i widen_columns(const int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

template <int kRows>
void tile_s8(const TileS8& t) {
  __m256i acc[kRows][2];  // of four columns: k and k + 1, k + 2 and k + 3 apart
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    acc[i][0] = _mm256_setzero_si256();
    acc[i][1] = _mm256_setzero_si256();
  }
  const uint8_t* a = t.a;
  const int8_t* b = t.panel;
  const size_t lda = t.lda;
  for (size_t quads = t.k / 4; quads > 0; --quads) {
    const __m256i column0 = widen_columns(b);
    const __m256i column1 = widen_columns(b + 16);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256i row = widen_row(four_bytes(a + static_cast<size_t>(i) * lda));
      acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(row, column0));
      acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(row, column1));
    }
    a += 4;
    b += kPanelS8 * 4;
  }
  if (t.k % 4 != 0) {
    const __m256i column0 = widen_columns(b);
    const __m256i column1 = widen_columns(b + 16);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256i row = widen_row(some_bytes(a + static_cast<size_t>(i) * lda, t.k % 4));
      acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(row, column0));
      acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(row, column1));
    }
  }
  const __m256i mask = below(t.columns, 0);
  const __m256i sums = _mm256_maskload_epi32(t.sums, mask);
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    // vphaddd works within halves: columns 0 1 4 5 | 2 3 6 7, then put in order by pairs.
    const __m256i pairs = _mm256_hadd_epi32(acc[i][0], acc[i][1]);
    const __m256i dot = _mm256_permute4x64_epi64(pairs, _MM_SHUFFLE(3, 1, 2, 0));
    const __m256i zero = _mm256_set1_epi32(t.zero[static_cast<size_t>(i) * t.zero_stride]);
    _mm256_maskstore_epi32(t.c + static_cast<size_t>(i) * t.ldc, mask,
                           _mm256_sub_epi32(dot, _mm256_mullo_epi32(sums, zero)));
  }
}

// Columns outside, rows inside: eight columns of all k stay in the first-level cache.
void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  const size_t panel_bytes = (k + 3) / 4 * 4 * kPanelS8;
  const size_t tiles = (m + 5) / 6;
  for (size_t n = n0; n < n1; n += 8) {
    const int8_t* panel = packed + n / kPanelS8 * panel_bytes + n % kPanelS8 * 4;
    TileS8 t{k,
             a,
             lda,
             a_zero,
             a_zero_stride,
             panel,
             column_sums + n,
             c + n,
             ldc,
             n1 - n < 8 ? n1 - n : 8};
    for (size_t i = 0; i < tiles; ++i) {
      const size_t rows = m * (i + 1) / tiles - m * i / tiles;
      switch (rows) {
        case 1:
          tile_s8<1>(t);
          break;
        case 2:
          tile_s8<2>(t);
          break;
        case 3:
          tile_s8<3>(t);
          break;
        case 4:
          tile_s8<4>(t);
          break;
        case 5:
          tile_s8<5>(t);
          break;
        default:
          tile_s8<6>(t);
          break;
      }
      t.a += rows * lda;
      t.zero += rows * a_zero_stride;
      t.c += rows * ldc;
    }
  }
}
