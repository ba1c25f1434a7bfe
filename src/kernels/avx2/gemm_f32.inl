// C = A B in tiles of 6 x 16: 12 accumulators, per k two loads of B and six broadcasts of A. A is
// read where it lies. B is walked by two strides, so packed panels and a row-major matrix take the
// same code; in bf16, widened as it is loaded, it is always packed and so needs no mask.

inline __m256 load_columns(const float* p, __m256i mask, bool whole) {
  return whole ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
}
inline __m256 load_columns(const uint16_t* p, __m256i, bool) { return load_bf16x8(p); }

template <class B>
struct TileF32 {
  size_t k;
  const float* a;
  size_t lda;
  const B* b;         // first column
  size_t b_row;       // from k to k + 1
  const float* bias;  // or null
  float* c;
  size_t ldc;
  size_t columns;  // that exist
};

// kRows rows, kVectors of eight columns; kWhole: every column exists.
template <int kRows, int kVectors, bool kWhole, class B>
void tile_f32(const TileF32<B>& t) {
  __m256i mask[kVectors];
#pragma GCC unroll 32
  for (int j = 0; j < kVectors; ++j) {
    const size_t from = static_cast<size_t>(j) * 8;
    const size_t left = t.columns > from ? t.columns - from : 0;
    mask[j] = below(left < 8 ? left : 8, 0);
  }
  __m256 acc[kRows][kVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm256_setzero_ps();
  }
  const float* a = t.a;
  const B* b = t.b;
  const size_t lda = t.lda;
  const size_t b_row = t.b_row;
  for (size_t p = t.k; p > 0; --p) {
    __m256 column[kVectors];
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      column[j] = load_columns(b + 8 * j, mask[j], kWhole);
    }
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256 row = _mm256_broadcast_ss(a + static_cast<size_t>(i) * lda);
#pragma GCC unroll 32
      for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm256_fmadd_ps(row, column[j], acc[i][j]);
    }
    ++a;
    b += b_row;
  }
  if (t.bias != nullptr) {
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      const __m256 bias =
          kWhole ? _mm256_loadu_ps(t.bias + 8 * j) : _mm256_maskload_ps(t.bias + 8 * j, mask[j]);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) acc[i][j] = _mm256_add_ps(acc[i][j], bias);
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + static_cast<size_t>(i) * t.ldc;
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      if constexpr (kWhole) {
        _mm256_storeu_ps(c + 8 * j, acc[i][j]);
      } else {
        _mm256_maskstore_ps(c + 8 * j, mask[j], acc[i][j]);
      }
    }
  }
}

template <class B>
void rows_f32(size_t rows, const TileF32<B>& t) {
  switch (rows) {
    case 1:
      return tile_f32<1, 2, true>(t);
    case 2:
      return tile_f32<2, 2, true>(t);
    case 3:
      return tile_f32<3, 2, true>(t);
    case 4:
      return tile_f32<4, 2, true>(t);
    case 5:
      return tile_f32<5, 2, true>(t);
    default:
      return tile_f32<6, 2, true>(t);
  }
}

// Fewer than 16 columns: the masks take two registers, which leaves four rows.
template <class B>
void last_rows_f32(size_t rows, const TileF32<B>& t) {
  switch (rows) {
    case 1:
      return tile_f32<1, 2, false>(t);
    case 2:
      return tile_f32<2, 2, false>(t);
    case 3:
      return tile_f32<3, 2, false>(t);
    default:
      return tile_f32<4, 2, false>(t);
  }
}

// m rows against the `columns` (at most 32) of one panel. The rows are dealt out evenly: 7 are 4
// and 3, as a tile of one row alone waits for its own additions.
template <class B>
void panel_f32(size_t m, size_t columns, TileF32<B> t) {
  if ((m == 1 || m == 2) && columns == kPanelF32) {  // the whole width at once, for the same reason
    return m == 1 ? tile_f32<1, 4, true>(t) : tile_f32<2, 4, true>(t);
  }
  const float* const a = t.a;
  float* const c = t.c;
  for (size_t j = 0; j < columns; j += 16) {
    t.columns = columns - j;
    t.a = a;
    t.c = c + j;
    const bool whole = t.columns >= 16;
    const size_t tiles = whole ? (m + 5) / 6 : (m + 3) / 4;
    for (size_t i = 0; i < tiles; ++i) {
      const size_t rows = m * (i + 1) / tiles - m * i / tiles;
      whole ? rows_f32(rows, t) : last_rows_f32(rows, t);
      t.a += rows * t.lda;
      t.c += rows * t.ldc;
    }
    t.b += 16;
    if (t.bias != nullptr) t.bias += 16;
  }
}

template <class B>
void gemm_panels(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                 const B* packed, const float* bias, float* c, size_t ldc) {
  for (size_t n = n0; n < n1; n += kPanelF32) {
    const size_t columns = n1 - n < kPanelF32 ? n1 - n : kPanelF32;
    panel_f32(m, columns,
              TileF32<B>{k, a, lda, packed + n * k, kPanelF32, bias == nullptr ? nullptr : bias + n,
                         c + n, ldc, columns});
  }
}

void gemm_f32_unpacked(size_t m, size_t n, size_t k, const float* a, size_t lda, const float* b,
                       size_t ldb, float* c, size_t ldc) {
  for (size_t j = 0; j < n; j += kPanelF32) {
    const size_t columns = n - j < kPanelF32 ? n - j : kPanelF32;
    panel_f32(m, columns, TileF32<float>{k, a, lda, b + j, ldb, nullptr, c + j, ldc, columns});
  }
}
