// C = A B in tiles of 6 x 8, exact: both sides widened to 16 bits, then vpmaddwd, whose sums of two
// products stay below 2^17. vpmaddubsw would save the widening, but it saturates at 255 * 127 * 2.
// A is widened once for 24 rows into a buffer on the stack, since widening it in the tile costs as
// much as the multiplications it feeds (57 instead of 72 GMAC/s, Zen 4); B is widened as it is
// loaded.

constexpr size_t kTileRows = 6;

constexpr size_t kBlockRows = 24;
constexpr size_t kBlockK = 1024;
// Rows of the buffer begin in different sets of the cache: 24 rows 2 KiB apart would share two.
constexpr size_t kBufferRow = kBlockK + 32;

struct TileS8 {
  size_t quads;         // groups of four k
  const int16_t* a;     // rows kBufferRow apart
  const int8_t* panel;  // at the first of the eight columns
  int32_t* c;
  size_t ldc;
  __m256i mask;  // columns that exist
  __m256i sums;  // of those columns
  const uint8_t* zero;
  size_t zero_stride;
  bool begin;        // of k: C is not there yet
  bool whole;        // all eight columns exist
  const char* next;  // what to fetch meanwhile, next_step bytes for every four k
  size_t next_step;
};

// Four columns of four k.
inline __m256i widen_columns(const int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
// Four numbers of a row, four times.
inline __m256i repeat_row(const int16_t* p) {
  long long four;
  __builtin_memcpy(&four, p, 8);
  return _mm256_set1_epi64x(four);
}

// GCC 12 copies and spills the accumulators around the intrinsics (45 instead of 72 GMAC/s); two
// instructions in asm leave it nothing to get wrong.
inline void multiply_add(__m256i& acc, __m256i row, __m256i column) {
#ifdef __AVX2__
  __m256i product;
  asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
      : "+x"(acc), "=&x"(product)
      : "x"(row), "x"(column));
#else
  acc = _mm256_add_epi32(acc, _mm256_madd_epi16(row, column));
#endif
}

template <int kRows>
void tile_s8(const TileS8& t) {
  __m256i acc[kRows][2];  // of four columns: k and k + 1, k + 2 and k + 3 apart
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    acc[i][0] = _mm256_setzero_si256();
    acc[i][1] = _mm256_setzero_si256();
  }
  const int16_t* a = t.a;
  const int8_t* b = t.panel;
  const char* next = t.next;
  const size_t next_step = t.next_step;
  for (size_t quads = t.quads; quads > 0; --quads) {
    const __m256i column0 = widen_columns(b);
    const __m256i column1 = widen_columns(b + 16);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m256i row = repeat_row(a + static_cast<size_t>(i) * kBufferRow);
      multiply_add(acc[i][0], row, column0);
      multiply_add(acc[i][1], row, column1);
    }
    _mm_prefetch(next, _MM_HINT_T0);
    next += next_step;
    a += 4;
    b += kPanelS8 * 4;
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    // vphaddd works within halves: columns 0 1 4 5 | 2 3 6 7, then put in order by pairs.
    const __m256i pairs = _mm256_hadd_epi32(acc[i][0], acc[i][1]);
    const __m256i dot = _mm256_permute4x64_epi64(pairs, _MM_SHUFFLE(3, 1, 2, 0));
    int32_t* c = t.c + static_cast<size_t>(i) * t.ldc;
    const int32_t zero = t.zero[static_cast<size_t>(i) * t.zero_stride];
    // Masked stores take ten times as long as others, which shows when a block is short.
    auto* to = reinterpret_cast<__m256i*>(c);
    const __m256i before = t.begin   ? _mm256_mullo_epi32(t.sums, _mm256_set1_epi32(-zero))
                           : t.whole ? _mm256_loadu_si256(to)
                                     : _mm256_maskload_epi32(c, t.mask);
    const __m256i after = _mm256_add_epi32(before, dot);
    t.whole ? _mm256_storeu_si256(to, after) : _mm256_maskstore_epi32(c, t.mask, after);
  }
}

// `k` bytes as 16-bit numbers, zeros up to a multiple of four; only the bytes that exist are read.
inline void widen_row(size_t k, const uint8_t* from, int16_t* to) {
  size_t p = 0;
  for (; p + 16 <= k; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + p));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + p), _mm256_cvtepu8_epi16(bytes));
  }
  for (; p < k; ++p) to[p] = from[p];
  for (; p % 4 != 0; ++p) to[p] = 0;
}

// Weights that are wanted soon: fetched a line at a time between the multiplications, since more
// than the CPU can wait for at once holds up the work.
struct Ahead {
  const int8_t* next;
  const int8_t* end;
};

// Up to kBlockRows rows, `part` k from k0 on. Fetches as many bytes as it reads.
void block_s8(size_t m, size_t n0, size_t n1, size_t k0, size_t part, size_t k, const int16_t* rows,
              const uint8_t* zero, size_t zero_stride, const int8_t* packed,
              const int32_t* column_sums, int32_t* c, size_t ldc, Ahead& ahead) {
  const size_t panel_bytes = (k + 3) / 4 * 4 * kPanelS8;
  const size_t tiles = (m + 5) / 6;
  // Columns outside, rows inside: eight columns of a block of k stay in the first-level cache.
  for (size_t n = n0; n < n1; n += 8) {
    TileS8 t;
    t.quads = (part + 3) / 4;
    t.a = rows;
    t.panel = packed + n / kPanelS8 * panel_bytes + k0 * kPanelS8 + n % kPanelS8 * 4;
    t.c = c + n;
    t.ldc = ldc;
    t.mask = below(n1 - n < 8 ? n1 - n : 8, 0);
    t.sums = _mm256_maskload_epi32(column_sums + n, t.mask);
    t.zero = zero;
    t.zero_stride = zero_stride;
    t.begin = k0 == 0;
    t.whole = n1 - n >= 8;
    t.next = reinterpret_cast<const char*>(ahead.next);
    t.next_step = ahead.next < ahead.end ? kPanelS8 * 4 / 8 : 0;
    ahead.next += t.next_step * t.quads;
    for (size_t i = 0; i < tiles; ++i) {
      const size_t count = m * (i + 1) / tiles - m * i / tiles;
      switch (count) {
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
      t.next_step = 0;  // the first tile has fetched it
      t.a += count * kBufferRow;
      t.c += count * ldc;
      t.zero += count * zero_stride;
    }
  }
}

void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  alignas(64) int16_t rows[kBlockRows * kBufferRow];  // 50 KiB
  for (size_t i = 0; i < m; i += kBlockRows) {
    const size_t count = m - i < kBlockRows ? m - i : kBlockRows;
    // Once even for k = 0, which still writes C.
    size_t k0 = 0;
    do {
      const size_t part = k - k0 < kBlockK ? k - k0 : kBlockK;
      for (size_t r = 0; r < count; ++r) {
        widen_row(part, a + (i + r) * lda + k0, rows + r * kBufferRow);
      }
      Ahead nothing{packed, packed};
      block_s8(count, n0, n1, k0, part, k, rows, a_zero + i * a_zero_stride, a_zero_stride, packed,
               column_sums, c + i * ldc, ldc, nothing);
      k0 += kBlockK;
    } while (k0 < k);
  }
}
