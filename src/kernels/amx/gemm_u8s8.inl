// C = A B in tiles of 32 x 32: four accumulators, two tiles of A and two of B for every 64 k. The
// panels of pack_s8 are tiles as they lie: sixteen groups of four k are sixteen rows, 256 bytes
// apart, and sixteen columns lie together. A is read where it lies; in contiguous tiles, or fetched
// ahead, it is not faster. Two cores with 4 MiB L2, GMAC/s here / with vpdpbusd, weights from
// memory: K = 1,024 262 / 177 of 8 rows, 1,456 / 648 of 128, 1,550 / 679 of 512; K = 3,072 1,517 /
// 706 of 512; with gelu at K = 384 1,038 / 624 of 512. The tiles alone could do 7,700: it is the
// second-level cache that feeds them.
//
// Few rows, and depths that no tile divides, take the kernels of avx512vnni.

constexpr size_t kTileRows = 2 * kTileHeight;
// Fewer rows leave most of a tile empty.
constexpr size_t kFewRows = 4;

// Of k in equal parts: the largest that is a whole number of fours and fits into a tile, since
// other tiles for a rest would wipe the accumulators. 0: below half a tile.
inline size_t tile_depth(size_t k) {
  if (k == 0 || k % 4 != 0) return 0;
  for (size_t parts = (k + kTileBytes - 1) / kTileBytes; k / parts >= kTileBytes / 2; ++parts) {
    if (k % (4 * parts) == 0) return k / parts;
  }
  return 0;
}

struct BlockS8 {
  size_t k;
  size_t depth;
  const uint8_t* a;
  size_t lda;
  const int8_t* panel;
  const char* next;  // what to fetch meanwhile, `lines` for every 32 columns of `depth`
  const char* end;
  size_t lines;
};

inline void fetch(BlockS8& t, size_t columns) {
  const auto left = static_cast<size_t>(t.end - t.next) / 64;
  const size_t wanted = t.lines * (columns / 32);
  const size_t lines = wanted < left ? wanted : left;
  for (size_t i = 0; i < lines; ++i) _mm_prefetch(t.next + 64 * i, _MM_HINT_T1);
  t.next += 64 * lines;
}

// Rows in one tile, or in two; all 64 columns, or twice 32.
void shape_block(Tiles& tiles, size_t rows, size_t depth) {
  const size_t upper = rows < kTileHeight ? rows : kTileHeight;
  const size_t lower = rows > kTileHeight ? rows - kTileHeight : upper;
  TileShapes s;
  for (int i = 0; i < 4; ++i) shape(s, i, i < 2 ? upper : lower, kTileBytes);
  shape(s, 4, upper, depth);
  shape(s, 5, lower, depth);
  shape(s, 6, depth / 4, kTileBytes);
  shape(s, 7, depth / 4, kTileBytes);
  tiles.load(s);
}

// A block's sums and how far they have been used.
template <class Use>
struct Pending {
  const Use& use;
  const int32_t* sums = nullptr;
  size_t row = 0;
  size_t rows = 0;  // left
  size_t column = 0;

  void use_some(size_t most) {
    const size_t count = rows < most ? rows : most;
    if (count == 0) return;
    use(row, count, column, sums);
    row += count;
    rows -= count;
    sums += count * kPanelS8;
  }
};

// To sums[rows][64]. Between the products some rows of the block before are used, which takes other
// units: one after the other, 512 rows at K = 1,024 reach 1,061 GMAC/s and not 1,550.
template <class Use>
inline void one_tile_high(BlockS8& t, int32_t* sums, Pending<Use>& before, size_t some) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t i = 0; i < t.k; i += t.depth) {
    const int8_t* b = t.panel + i * kPanelS8;
    _tile_loadd(4, t.a + i, t.lda);
    _tile_loadd(6, b, 256);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, b + 64, 256);
    _tile_dpbusd(1, 4, 7);
    _tile_loadd(6, b + 128, 256);
    _tile_dpbusd(2, 4, 6);
    _tile_loadd(7, b + 192, 256);
    _tile_dpbusd(3, 4, 7);
    fetch(t, 64);
    before.use_some(2 * some);
  }
  _tile_stored(0, sums, 256);
  _tile_stored(1, sums + 16, 256);
  _tile_stored(2, sums + 32, 256);
  _tile_stored(3, sums + 48, 256);
}
template <class Use>
inline void two_tiles_high(BlockS8& t, int32_t* sums, Pending<Use>& before, size_t some) {
  const uint8_t* lower = t.a + kTileHeight * t.lda;
  for (size_t half = 0; half < 2; ++half, sums += 32) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t i = 0; i < t.k; i += t.depth) {
      const int8_t* b = t.panel + i * kPanelS8 + 128 * half;
      _tile_loadd(6, b, 256);
      _tile_loadd(4, t.a + i, t.lda);
      _tile_dpbusd(0, 4, 6);
      _tile_loadd(7, b + 64, 256);
      _tile_dpbusd(1, 4, 7);
      _tile_loadd(5, lower + i, t.lda);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
      fetch(t, 32);
      before.use_some(some);
    }
    _tile_stored(0, sums, 256);
    _tile_stored(1, sums + 16, 256);
    _tile_stored(2, sums + kTileHeight * kPanelS8, 256);
    _tile_stored(3, sums + kTileHeight * kPanelS8 + 16, 256);
  }
}

// For every panel of columns [n0, n1) and every block of rows in it: use(row, rows, column, sums),
// sums [rows][64] without the zero points; a few rows at a time.
template <class Use>
inline void for_blocks(size_t m, size_t n0, size_t n1, size_t k, size_t depth, const uint8_t* a,
                       size_t lda, const int8_t* packed, const Use& use) {
  alignas(64) int32_t sums[2][kTileRows * kPanelS8];
  Tiles tiles;
  Pending<Use> before{use};
  size_t shaped = 0;
  size_t count = 0;
  const size_t panel_bytes = packed_s8_bytes(k, 1);
  // depth / 2 lines of a panel are 32 columns of one step; the blocks of rows share them.
  const size_t blocks = (m + kTileRows - 1) / kTileRows;
  const size_t lines = (depth / 2 + blocks - 1) / blocks;
  const size_t steps = 2 * (k / depth);
  const size_t some = (kTileRows + steps - 1) / steps;
  for (size_t n = n0; n < n1; n += kPanelS8) {
    const int8_t* panel = packed + n / kPanelS8 * panel_bytes;
    const bool last = n + kPanelS8 >= n1;
    BlockS8 t{k,
              depth,
              a,
              lda,
              panel,
              reinterpret_cast<const char*>(panel + panel_bytes),
              reinterpret_cast<const char*>(panel + (last ? 1 : 2) * panel_bytes),
              lines};
    for (size_t i = 0; i < m; i += kTileRows, t.a += kTileRows * lda, ++count) {
      const size_t rows = m - i < kTileRows ? m - i : kTileRows;
      if (rows != shaped) shape_block(tiles, shaped = rows, depth);
      int32_t* to = sums[count % 2];
      rows > kTileHeight ? two_tiles_high(t, to, before, some) : one_tile_high(t, to, before, some);
      before.use_some(before.rows);
      before.sums = to;
      before.row = i;
      before.rows = rows;
      before.column = n;
    }
  }
  before.use_some(before.rows);
}

void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  const size_t depth = tile_depth(k);
  if (m < kFewRows || depth == 0) {
    few_rows::gemm_u8s8_s32(m, n0, n1, k, a, lda, a_zero, a_zero_stride, packed, column_sums, c,
                            ldc);
    return;
  }
  for_blocks(m, n0, n1, k, depth, a, lda, packed,
             [&](size_t row, size_t rows, size_t n, const int32_t* sums) {
               for (size_t j = 0; j < kPanelS8 && n + j < n1; j += kLanes) {
                 const __mmask16 mask = below(n1 - n - j < kLanes ? n1 - n - j : kLanes);
                 const __m512i columns = _mm512_maskz_loadu_epi32(mask, column_sums + n + j);
                 for (size_t r = 0; r < rows; ++r) {
                   const __m512i zero = _mm512_set1_epi32(-a_zero[(row + r) * a_zero_stride]);
                   const __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums + r * kPanelS8 + j),
                                                        _mm512_mullo_epi32(columns, zero));
                   _mm512_mask_storeu_epi32(c + (row + r) * ldc + n + j, mask, sum);
                 }
               }
             });
}

// What the sums of a panel become: rows of 64 floats, stored or added.
struct PanelScales {
  const uint8_t* zero;
  const float* a_scale;
  const int32_t* column_sums;
  const float* scale;
  const float* bias;  // or null
};

template <bool kBias, bool kAdd>
inline void scale_panel(const PanelScales& p, size_t rows, const int32_t* sums, float* f,
                        size_t ldf) {
  for (size_t j = 0; j < kPanelS8; j += kLanes) {
    const __m512i columns = _mm512_loadu_si512(p.column_sums + j);
    const __m512 scale = _mm512_loadu_ps(p.scale + j);
    const __m512 bias = kBias ? _mm512_loadu_ps(p.bias + j) : _mm512_setzero_ps();
    for (size_t r = 0; r < rows; ++r) {
      const __m512i less = _mm512_mullo_epi32(columns, _mm512_set1_epi32(-p.zero[r]));
      const __m512 sum =
          _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_load_si512(sums + r * kPanelS8 + j), less));
      const __m512 product = _mm512_mul_ps(_mm512_set1_ps(p.a_scale[r]), scale);
      __m512 y = kBias ? _mm512_fmadd_ps(sum, product, bias) : _mm512_mul_ps(sum, product);
      float* to = f + r * ldf + j;
      if constexpr (kAdd) y = _mm512_add_ps(_mm512_loadu_ps(to), y);
      _mm512_storeu_ps(to, y);
    }
  }
}

void gemm_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                   const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                   Epilogue epilogue, float* c, size_t ldc) {
  const size_t depth = tile_depth(layer.k);
  if (m < kFewRows || depth == 0) {
    few_rows::gemm_u8s8_f32(m, n0, n1, a, lda, a_scale, a_zero, layer, epilogue, c, ldc);
    return;
  }
  alignas(64) float buffer[kTileRows * kPanelS8];
  const bool simple = epilogue == Epilogue::store || epilogue == Epilogue::add;
  for_blocks(m, n0, n1, layer.k, depth, a, lda, layer.packed,
             [&](size_t row, size_t rows, size_t n, const int32_t* sums) {
               const size_t columns = n1 - n < kPanelS8 ? n1 - n : kPanelS8;
               const bool direct = simple && columns == kPanelS8;
               float* to = c + row * ldc + (is_gated(epilogue) ? n / 2 : n);
               const PanelScales p{a_zero + row, a_scale + row, layer.column_sums + n,
                                   layer.scale + n,
                                   layer.bias == nullptr ? nullptr : layer.bias + n};
               float* f = direct ? to : buffer;
               const size_t ldf = direct ? ldc : kPanelS8;
               if (direct && epilogue == Epilogue::add) {
                 p.bias == nullptr ? scale_panel<false, true>(p, rows, sums, f, ldf)
                                   : scale_panel<true, true>(p, rows, sums, f, ldf);
                 return;
               }
               p.bias == nullptr ? scale_panel<false, false>(p, rows, sums, f, ldf)
                                 : scale_panel<true, false>(p, rows, sums, f, ldf);
               if (!direct) finish(epilogue, rows, columns, f, to, ldc);
             });
}
