// C = A B in tiles of 6 x 64: 24 accumulators, four loads of B and one broadcast per row for every
// four k. A is read where it lies; of its last, incomplete group of four only the bytes that exist.

// GCC 12 copies accumulators around the intrinsic and spills them (a third of the speed, measured);
// one instruction in asm leaves it nothing to get wrong. vpdpbusd does not saturate (vpdpbusds
// would).
inline void dot4(__m512i& acc, __m512i u8, __m512i s8) {
#ifdef __AVX512VNNI__
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(s8));
#else
  acc = _mm512_dpbusd_epi32(acc, u8, s8);
#endif
}

struct TileS8 {
  size_t k;
  const uint8_t* a;
  size_t lda;
  const uint8_t* zero;
  size_t zero_stride;
  const int8_t* panel;
  const int32_t* sums;
  int32_t* c;
  size_t ldc;
  __mmask16 mask[4];
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

template <int kRows>
void tile_s8(const TileS8& t) {
  __m512i acc[kRows][4];
#pragma GCC unroll 32
  for (int j = 0; j < 4; ++j) {
    const __m512i sums = _mm512_maskz_loadu_epi32(t.mask[j], t.sums + 16 * j);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i zero = _mm512_set1_epi32(-t.zero[static_cast<size_t>(i) * t.zero_stride]);
      acc[i][j] = _mm512_mullo_epi32(sums, zero);
    }
  }
  const uint8_t* a = t.a;
  const int8_t* b = t.panel;
  const size_t lda = t.lda;
  for (size_t quads = t.k / 4; quads > 0; --quads) {
    __m512i column[4];
#pragma GCC unroll 32
    for (int j = 0; j < 4; ++j) column[j] = _mm512_loadu_si512(b + 64 * j);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i row = _mm512_set1_epi32(four_bytes(a + static_cast<size_t>(i) * lda));
#pragma GCC unroll 32
      for (int j = 0; j < 4; ++j) dot4(acc[i][j], row, column[j]);
    }
    a += 4;
    b += 256;
  }
  if (t.k % 4 != 0) {
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i row = _mm512_set1_epi32(some_bytes(a + static_cast<size_t>(i) * lda, t.k % 4));
#pragma GCC unroll 32
      for (int j = 0; j < 4; ++j) dot4(acc[i][j], row, _mm512_loadu_si512(b + 64 * j));
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < 4; ++j) {
      _mm512_mask_storeu_epi32(t.c + static_cast<size_t>(i) * t.ldc + 16 * j, t.mask[j], acc[i][j]);
    }
  }
}

void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  const size_t panel_bytes = (k + 3) / 4 * 4 * kPanelS8;
  const size_t tiles = (m + 5) / 6;
  for (size_t n = n0; n < n1; n += kPanelS8) {
    TileS8 t{k,
             a,
             lda,
             a_zero,
             a_zero_stride,
             packed + n / kPanelS8 * panel_bytes,
             column_sums + n,
             c + n,
             ldc,
             {}};
    for (size_t j = 0; j < 4; ++j) {
      const size_t left = n1 - n > 16 * j ? n1 - n - 16 * j : 0;
      t.mask[j] = below(left < 16 ? left : 16);
    }
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
