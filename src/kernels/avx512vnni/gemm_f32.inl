// C = A B in tiles of 12 x 32: 24 accumulators, per k two loads of B and twelve broadcasts of A.
// A is read where it lies. B is walked by two strides, so packed panels and a row-major matrix take
// the same code; in bf16, widened as it is loaded, it is always packed and so needs no mask.

inline __m512 load_columns(const float* p, __mmask16 mask, bool whole) {
  return whole ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask, p);
}
inline __m512 load_columns(const uint16_t* p, __mmask16, bool) { return load_bf16(p).v; }

template <class B>
struct TileF32 {
  size_t k;
  const float* a;
  size_t lda;
  const B* b;         // first panel
  size_t b_row;       // from k to k + 1
  size_t b_panel;     // from one panel to the next
  const float* bias;  // or null
  float* c;
  size_t ldc;
  __mmask16 mask[2];  // columns of the last panel that exist
};

// kRows rows, kPanels adjacent panels; kWhole: every column exists.
template <int kRows, int kPanels, bool kWhole, class B>
void tile_f32(const TileF32<B>& t) {
  constexpr int kVectors = kPanels * 2;
  __m512 acc[kRows][kVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm512_setzero_ps();
  }
  const float* a = t.a;
  const B* b = t.b;
  const size_t lda = t.lda;
  const size_t b_row = t.b_row;
  const size_t b_panel = t.b_panel;
  for (size_t p = t.k; p > 0; --p) {
    __m512 column[kVectors];
#pragma GCC unroll 32
    for (int j = 0; j < kVectors; ++j) {
      const B* from = b + static_cast<size_t>(j / 2) * b_panel + static_cast<size_t>(j % 2) * 16;
      column[j] = load_columns(from, t.mask[j % 2], kWhole);
    }
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512 row = _mm512_set1_ps(a[static_cast<size_t>(i) * lda]);
#pragma GCC unroll 32
      for (int j = 0; j < kVectors; ++j) acc[i][j] = _mm512_fmadd_ps(row, column[j], acc[i][j]);
    }
    ++a;
    b += b_row;
  }
#pragma GCC unroll 32
  for (int j = 0; j < kVectors; ++j) {
    const size_t column = static_cast<size_t>(j) * 16;
    const __mmask16 mask = kWhole ? static_cast<__mmask16>(0xffff) : t.mask[j % 2];
    if (t.bias != nullptr) {
      const __m512 bias = _mm512_maskz_loadu_ps(mask, t.bias + column);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) acc[i][j] = _mm512_add_ps(acc[i][j], bias);
    }
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      _mm512_mask_storeu_ps(t.c + static_cast<size_t>(i) * t.ldc + column, mask, acc[i][j]);
    }
  }
}

template <int kPanels, bool kWhole, class B>
void rows_f32(size_t rows, const TileF32<B>& t) {
  switch (rows) {
    case 1:
      return tile_f32<1, kPanels, kWhole>(t);
    case 2:
      return tile_f32<2, kPanels, kWhole>(t);
    case 3:
      return tile_f32<3, kPanels, kWhole>(t);
    case 4:
      return tile_f32<4, kPanels, kWhole>(t);
    case 5:
      return tile_f32<5, kPanels, kWhole>(t);
    case 6:
      return tile_f32<6, kPanels, kWhole>(t);
    default:
      break;
  }
  if constexpr (kPanels == 1) {
    switch (rows) {
      case 7:
        return tile_f32<7, 1, kWhole>(t);
      case 8:
        return tile_f32<8, 1, kWhole>(t);
      case 9:
        return tile_f32<9, 1, kWhole>(t);
      case 10:
        return tile_f32<10, 1, kWhole>(t);
      case 11:
        return tile_f32<11, 1, kWhole>(t);
      default:
        return tile_f32<12, 1, kWhole>(t);
    }
  }
}

// All m rows against n columns. Panels outside, rows inside: a panel stays in the cache. The rows
// are dealt out evenly: 13 are 7 and 6, as a tile of one row alone waits for its own additions.
template <class B>
void gemm_tiles(size_t m, size_t n, TileF32<B> t) {
  const size_t tiles = (m + 11) / 12;
  const float* const a = t.a;
  float* c = t.c;
  while (n > 0) {
    // Few rows leave registers free: two panels at once hide the latency of the additions.
    const bool two = m <= 6 && n >= 2 * kPanelF32;
    const size_t most = two ? 2 * kPanelF32 : kPanelF32;
    const size_t columns = n < most ? n : most;
    t.mask[0] = below(columns < 16 ? columns : 16);
    t.mask[1] = below(columns < 16 ? 0 : columns < 32 ? columns - 16 : 16);
    t.a = a;
    t.c = c;
    for (size_t i = 0; i < tiles; ++i) {
      const size_t rows = m * (i + 1) / tiles - m * i / tiles;
      if (two) {
        rows_f32<2, true>(rows, t);
      } else if (columns == kPanelF32) {
        rows_f32<1, true>(rows, t);
      } else {
        rows_f32<1, false>(rows, t);
      }
      t.a += rows * t.lda;
      t.c += rows * t.ldc;
    }
    t.b += (two ? 2 : 1) * t.b_panel;
    if (t.bias != nullptr) t.bias += columns;
    c += columns;
    n -= columns;
  }
}

template <class B>
void gemm_panels(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                 const B* packed, const float* bias, float* c, size_t ldc) {
  if (n1 <= n0) return;
  gemm_tiles(m, n1 - n0,
             TileF32<B>{k,
                        a,
                        lda,
                        packed + n0 * k,
                        kPanelF32,
                        kPanelF32 * k,
                        bias == nullptr ? nullptr : bias + n0,
                        c + n0,
                        ldc,
                        {}});
}

void gemm_f32_unpacked(size_t m, size_t n, size_t k, const float* a, size_t lda, const float* b,
                       size_t ldb, float* c, size_t ldc) {
  gemm_tiles(m, n, TileF32<float>{k, a, lda, b, ldb, kPanelF32, nullptr, c, ldc, {}});
}
