// The product of a linear layer. Few rows take the tiles of gemm_u8s8.inl; from kFewRows on, half
// of the multiplications are saved (S. Winograd, A New Algorithm for Inner Product, 1968): with
// neighbouring pairs of k,
//   (a0 + b2) (a2 + b0) = a0 b0 + a2 b2 + a0 a2 + b0 b2,
// so the sum over pairs minus a number of the row (of all a0 a2) and a number of the column (of all
// b0 b2) is the dot product, exactly: sums of 16 bits hold a + b, and what the 32-bit sums lose by
// wrapping, the subtraction gives back. Two vpaddw, a vpmaddwd and a vpaddd make 32 products,
// where widening alone takes two vpmaddwd and two vpaddd. AVX2 has more units that add than units
// that multiply: 118 instead of 95 GMAC/s of a Zen 4 core at most (registers only).
//
// Tiles of 4 x 16 in blocks of 512 k. A block of B is widened once for 192 rows, a block of A once
// for 64 columns, into buffers on the stack: 97 GMAC/s with all of that, where tiles that widen
// alone reach 78.

constexpr size_t kFewRows = 13;
constexpr size_t kPairRows = 192;  // to a widened block of B
constexpr size_t kPairTileRows = 4;
constexpr size_t kPairK = 512;
constexpr size_t kPairQuads = kPairK / 4;
constexpr size_t kPairRow = kPairK + 16;  // as kBufferRow
constexpr size_t kPairColumns = 16;
constexpr size_t kPairGroups = kPanelS8 / kPairColumns;
// A quad of a group: (b2, b3) of eight columns, their (b0, b1), then eight columns more.
constexpr size_t kPairGroupWords = 4 * kPairColumns;

// vpmovsxbw and vshufps leave columns 0 1 4 5 2 3 6 7.
inline __m256i in_order(__m256i v) { return _mm256_permute4x64_epi64(v, _MM_SHUFFLE(3, 1, 2, 0)); }

inline __m256i load8(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store8(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

// `quads` of a panel from `from`, to [group][kPairQuads][kPairGroupWords]; the columns' numbers are
// added to `squares`.
void widen_panel(size_t quads, const int8_t* from, int16_t* to, uint32_t* squares) {
  constexpr size_t kHalves = kPanelS8 / 8;
  __m256i sum[kHalves];
#pragma GCC unroll 32
  for (size_t h = 0; h < kHalves; ++h) sum[h] = _mm256_setzero_si256();
  // In the order of memory, which may be where the panel comes from.
  for (size_t q = 0; q < quads; ++q) {
#pragma GCC unroll 32
    for (size_t h = 0; h < kHalves; ++h) {
      const __m256 v0 = _mm256_castsi256_ps(widen_columns(from + h * 32));
      const __m256 v1 = _mm256_castsi256_ps(widen_columns(from + h * 32 + 16));
      const __m256i second = _mm256_castps_si256(_mm256_shuffle_ps(v0, v1, 0xdd));
      const __m256i first = _mm256_castps_si256(_mm256_shuffle_ps(v0, v1, 0x88));
      int16_t* pairs = to + h / 2 * (kPairQuads * kPairGroupWords) + h % 2 * (kPairGroupWords / 2);
      store8(pairs, second);
      store8(pairs + 16, first);
      sum[h] = _mm256_add_epi32(sum[h], _mm256_madd_epi16(first, second));
    }
    from += kPanelS8 * 4;
    to += kPairGroupWords;
  }
#pragma GCC unroll 32
  for (size_t h = 0; h < kHalves; ++h) {
    uint32_t* total = squares + h * 8;
    store8(total, _mm256_add_epi32(load8(total), in_order(sum[h])));
  }
}

// widen_row, and the row's number: a0 a2 + a1 a3 of every quad.
uint32_t widen_row_squares(size_t k, const uint8_t* from, int16_t* to) {
  const size_t whole = k / 16 * 16;
  __m256i sum = _mm256_setzero_si256();
  for (size_t p = 0; p < whole; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + p));
    const __m256i v = _mm256_cvtepu8_epi16(bytes);
    store8(to + p, v);
    // The pairs of 64 bits have changed places: each product is there twice.
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(v, _mm256_shuffle_epi32(v, 0xb1)));
  }
  alignas(32) uint32_t lanes[8];
  store8(lanes, sum);
  uint32_t total = lanes[0] + lanes[2] + lanes[4] + lanes[6];
  if (whole < k) widen_row(k - whole, from + whole, to + whole);
  for (size_t p = whole; p < k; p += 4) {
    total += static_cast<uint32_t>(to[p] * to[p + 2] + to[p + 1] * to[p + 3]);
  }
  return total;
}

// Two numbers of a row, eight times.
inline __m256i repeat_pair(const int16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}

inline void multiply_pairs(__m256i& acc, __m256i a_first, __m256i a_second, __m256i b_first,
                           __m256i b_second) {
#ifdef __AVX2__
  __m256i x;
  __m256i y;
  asm("vpaddw %5, %3, %1\n\tvpaddw %6, %4, %2\n\tvpmaddwd %2, %1, %1\n\tvpaddd %1, %0, %0"
      : "+x"(acc), "=&x"(x), "=&x"(y)
      : "x"(a_first), "x"(a_second), "x"(b_second), "x"(b_first));
#else
  const __m256i x = _mm256_add_epi16(a_first, b_second);
  const __m256i y = _mm256_add_epi16(a_second, b_first);
  acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x, y));
#endif
}

// kRows rows of `a`, kPairRow apart, by a group of columns; onto `sums`, kPanelS8 apart. Meanwhile
// fetches next_step bytes from `next` on for each quad.
template <int kRows, bool kFetch>
void tile_pairs(size_t quads, const int16_t* a, const int16_t* b, bool begin, int32_t* sums,
                const char* next, size_t next_step) {
  __m256i acc[kRows][2];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    acc[i][0] = _mm256_setzero_si256();
    acc[i][1] = _mm256_setzero_si256();
  }
  for (; quads > 0; --quads) {
    const __m256i second0 = load8(b);
    const __m256i first0 = load8(b + 16);
    const __m256i second1 = load8(b + 32);
    const __m256i first1 = load8(b + 48);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const int16_t* row = a + static_cast<size_t>(i) * kPairRow;
      const __m256i a_first = repeat_pair(row);
      const __m256i a_second = repeat_pair(row + 2);
      multiply_pairs(acc[i][0], a_first, a_second, first0, second0);
      multiply_pairs(acc[i][1], a_first, a_second, first1, second1);
    }
    if constexpr (kFetch) {
      _mm_prefetch(next, _MM_HINT_T0);
      next += next_step;
    }
    a += 4;
    b += kPairGroupWords;
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < 2; ++j) {
      int32_t* to = sums + static_cast<size_t>(i) * kPanelS8 + static_cast<size_t>(j) * 8;
      const __m256i sum = in_order(acc[i][j]);
      store8(to, begin ? sum : _mm256_add_epi32(load8(to), sum));
    }
  }
}

// Apart from its caller, so that kernels.no_spills finds the loops by its name.
template <bool kFetch>
[[gnu::noinline]] void rows_pairs(size_t rows, size_t quads, const int16_t* a, const int16_t* b,
                                  bool begin, int32_t* sums, const char* next, size_t next_step) {
  switch (rows) {
    case 1:
      return tile_pairs<1, kFetch>(quads, a, b, begin, sums, next, next_step);
    case 2:
      return tile_pairs<2, kFetch>(quads, a, b, begin, sums, next, next_step);
    case 3:
      return tile_pairs<3, kFetch>(quads, a, b, begin, sums, next, next_step);
    default:
      return tile_pairs<4, kFetch>(quads, a, b, begin, sums, next, next_step);
  }
}

// What the sums of a row hold too much: its own number, the columns', and its zero point.
void correct_sums(uint32_t squares, const uint32_t* column_squares, uint8_t zero,
                  const int32_t* column_sums, int32_t* sums) {
  const __m256i own = _mm256_set1_epi32(static_cast<int32_t>(squares));
  const __m256i z = _mm256_set1_epi32(zero);
  for (size_t j = 0; j < kPanelS8; j += 8) {
    const __m256i shift = _mm256_mullo_epi32(load8(column_sums + j), z);
    const __m256i all = _mm256_add_epi32(_mm256_add_epi32(own, load8(column_squares + j)), shift);
    store8(sums + j, _mm256_sub_epi32(load8(sums + j), all));
  }
}

// A panel's sums of m <= kPairRows rows, `end` being that of all panels. Their `squares` are found
// with the first panel.
struct PairBuffers {
  alignas(64) int16_t b[kPairGroups * kPairQuads * kPairGroupWords];  // 64 KiB
  alignas(64) int16_t a[kBlockRows * kPairRow];                       // 25 KiB
  alignas(64) int32_t sums[kPairRows * kPanelS8];                     // 48 KiB
  uint32_t squares[kPairRows];
};
void panel_pairs(size_t m, const uint8_t* a, size_t lda, const uint8_t* zero, size_t k,
                 const int8_t* panel, const int8_t* end, const int32_t* column_sums,
                 bool first_panel, PairBuffers& buffers) {
  alignas(32) uint32_t column_squares[kPanelS8] = {};
  if (first_panel) __builtin_memset(buffers.squares, 0, m * sizeof(uint32_t));
  size_t k0 = 0;
  do {
    const size_t part = k - k0 < kPairK ? k - k0 : kPairK;
    const size_t quads = (part + 3) / 4;
    widen_panel(quads, panel + k0 * kPanelS8, buffers.b, column_squares);
    // The next block comes from memory while the first rows are multiplied.
    const int8_t* ahead = panel + (k0 + quads * 4) * kPanelS8;
    const size_t first_rows = m < kBlockRows ? m : kBlockRows;
    const size_t first_tiles = (first_rows + kPairTileRows - 1) / kPairTileRows * kPairGroups;
    const size_t next_step = (kPanelS8 * 4 + first_tiles - 1) / first_tiles;
    for (size_t i0 = 0; i0 < m; i0 += kBlockRows) {
      const size_t rows = m - i0 < kBlockRows ? m - i0 : kBlockRows;
      for (size_t r = 0; r < rows; ++r) {
        int16_t* row = buffers.a + r * kPairRow;
        const uint8_t* from = a + (i0 + r) * lda + k0;
        if (first_panel) {
          buffers.squares[i0 + r] += widen_row_squares(part, from, row);
        } else {
          widen_row(part, from, row);
        }
      }
      for (size_t g = 0; g < kPairGroups; ++g) {
        for (size_t r = 0; r < rows; r += kPairTileRows) {
          const bool fetch = i0 == 0 && ahead < end;
          const auto run = fetch ? rows_pairs<true> : rows_pairs<false>;
          run(rows - r, quads, buffers.a + r * kPairRow,
              buffers.b + g * kPairQuads * kPairGroupWords, k0 == 0,
              buffers.sums + (i0 + r) * kPanelS8 + g * kPairColumns,
              reinterpret_cast<const char*>(ahead), next_step);
          if (fetch) ahead += next_step * quads;
        }
      }
    }
    k0 += kPairK;
  } while (k0 < k);
  for (size_t i = 0; i < m; ++i) {
    correct_sums(buffers.squares[i], column_squares, zero[i], column_sums,
                 buffers.sums + i * kPanelS8);
  }
}

// The floats of m rows of a panel, from their sums.
void finish_panel(size_t m, size_t n, size_t n1, const int32_t* sums, const float* a_scale,
                  const LayerS8& layer, Epilogue epilogue, float* c, size_t ldc) {
  const size_t columns = n1 - n < kPanelS8 ? n1 - n : kPanelS8;
  const float* bias = layer.bias == nullptr ? nullptr : layer.bias + n;
  c += is_gated(epilogue) ? n / 2 : n;
  for (size_t i = 0; i < m; ++i) {
    alignas(64) float f[kPanelS8];
    scale_sums(sums + i * kPanelS8, a_scale[i], layer.scale + n, bias, f);
    finish(epilogue, 1, columns, f, c + i * ldc, ldc);
  }
}

// Blocks of 128 k of all columns, one after the other as they lie in memory, each fetching the
// next: eight columns of all k at a time would jump through it. From memory, 1, 4 and 8 rows reach
// 18, 67 and 72 GMAC/s instead of 8, 25 and 38. A row is widened once for all panels, as long as it
// is no longer than the buffer.
constexpr size_t kFewK = 128;
void few_rows_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                       const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                       Epilogue epilogue, float* c, size_t ldc) {
  alignas(64) int16_t rows[(kFewRows - 1) * kBufferRow];
  alignas(64) int32_t sums[(kFewRows - 1) * kPanelS8];
  const size_t k = layer.k;
  const size_t panel_bytes = packed_s8_bytes(k, 1);
  Ahead ahead{layer.packed + n0 / kPanelS8 * panel_bytes + kFewK * kPanelS8,
              layer.packed + (n1 + kPanelS8 - 1) / kPanelS8 * panel_bytes};
  for (size_t n = n0; n < n1; n += kPanelS8) {
    size_t k0 = 0;
    do {  // once even for k = 0, which still has sums
      const size_t in_buffer = k0 % kBlockK;
      if (in_buffer == 0 && (n == n0 || k > kBlockK)) {
        const size_t count = k - k0 < kBlockK ? k - k0 : kBlockK;
        for (size_t r = 0; r < m; ++r) widen_row(count, a + r * lda + k0, rows + r * kBufferRow);
      }
      const size_t part = k - k0 < kFewK ? k - k0 : kFewK;
      block_s8(m, 0, kPanelS8, k0, part, k, rows + in_buffer, a_zero, 1,
               layer.packed + n / kPanelS8 * panel_bytes, layer.column_sums + n, sums, kPanelS8,
               ahead);
      k0 += kFewK;
    } while (k0 < k);
    finish_panel(m, n, n1, sums, a_scale, layer, epilogue, c, ldc);
  }
}

void many_rows_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                        const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                        Epilogue epilogue, float* c, size_t ldc) {
  PairBuffers buffers;
  const size_t panel_bytes = packed_s8_bytes(layer.k, 1);
  const int8_t* end = layer.packed + (n1 + kPanelS8 - 1) / kPanelS8 * panel_bytes;
  for (size_t i = 0; i < m; i += kPairRows) {
    const size_t rows = m - i < kPairRows ? m - i : kPairRows;
    for (size_t n = n0; n < n1; n += kPanelS8) {
      panel_pairs(rows, a + i * lda, lda, a_zero + i, layer.k,
                  layer.packed + n / kPanelS8 * panel_bytes, end, layer.column_sums + n, n == n0,
                  buffers);
      finish_panel(rows, n, n1, buffers.sums, a_scale + i, layer, epilogue, c + i * ldc, ldc);
    }
  }
}

void gemm_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                   const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                   Epilogue epilogue, float* c, size_t ldc) {
  const auto run = m < kFewRows ? few_rows_u8s8_f32 : many_rows_u8s8_f32;
  run(m, n0, n1, a, lda, a_scale, a_zero, layer, epilogue, c, ldc);
}
