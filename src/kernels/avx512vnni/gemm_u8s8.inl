// C = A B in tiles of 6 x 64: 24 accumulators, four loads of B and one broadcast per row for every
// four k. A is read where it lies; of its last, incomplete group of four only the bytes that exist.

constexpr size_t kTileRows = 6;

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
  const char* next;  // what to fetch meanwhile, next_step bytes for every four k
  size_t next_step;
  const int32_t* sums;
  int32_t* c;  // of Out::sums
  size_t ldc;
  __mmask16 mask[4];     // columns of it that exist
  const float* a_scale;  // of the others
  const float* scale;
  const float* bias;  // or null
  float* f;           // 64 columns of it
  size_t ldf;
};

enum class Out { sums, floats, added };

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

// C = f or C += f.
template <int kRows, bool kBias, bool kAdd>
inline void store_floats(const TileS8& t, const __m512i (&acc)[kRows][4]) {
#pragma GCC unroll 32
  for (int j = 0; j < 4; ++j) {
    const __m512 scale = _mm512_loadu_ps(t.scale + 16 * j);
    const __m512 bias = kBias ? _mm512_loadu_ps(t.bias + 16 * j) : _mm512_setzero_ps();
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512 product = _mm512_mul_ps(_mm512_set1_ps(t.a_scale[i]), scale);
      const __m512 sum = _mm512_cvtepi32_ps(acc[i][j]);
      __m512 f = kBias ? _mm512_fmadd_ps(sum, product, bias) : _mm512_mul_ps(sum, product);
      float* to = t.f + static_cast<size_t>(i) * t.ldf + 16 * j;
      if constexpr (kAdd) f = _mm512_add_ps(_mm512_loadu_ps(to), f);
      _mm512_storeu_ps(to, f);
    }
  }
}

template <int kRows, Out kOut>
void tile_s8(const TileS8& t) {
  __m512i acc[kRows][4];
#pragma GCC unroll 32
  for (int j = 0; j < 4; ++j) {
    const __m512i sums = kOut == Out::sums ? _mm512_maskz_loadu_epi32(t.mask[j], t.sums + 16 * j)
                                           : _mm512_loadu_si512(t.sums + 16 * j);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const __m512i zero = _mm512_set1_epi32(-t.zero[static_cast<size_t>(i) * t.zero_stride]);
      acc[i][j] = _mm512_mullo_epi32(sums, zero);
    }
  }
  const uint8_t* a = t.a;
  const int8_t* b = t.panel;
  const size_t lda = t.lda;
  const char* next = t.next;
  const size_t next_step = t.next_step;
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
    _mm_prefetch(next, _MM_HINT_T0);
    next += next_step;
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
  if constexpr (kOut != Out::sums) {
    constexpr bool kAdd = kOut == Out::added;
    t.bias == nullptr ? store_floats<kRows, false, kAdd>(t, acc)
                      : store_floats<kRows, true, kAdd>(t, acc);
    return;
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < 4; ++j) {
      _mm512_mask_storeu_epi32(t.c + static_cast<size_t>(i) * t.ldc + 16 * j, t.mask[j], acc[i][j]);
    }
  }
}

template <Out kOut>
void rows_s8(size_t rows, const TileS8& t) {
  switch (rows) {
    case 1:
      return tile_s8<1, kOut>(t);
    case 2:
      return tile_s8<2, kOut>(t);
    case 3:
      return tile_s8<3, kOut>(t);
    case 4:
      return tile_s8<4, kOut>(t);
    case 5:
      return tile_s8<5, kOut>(t);
    default:
      return tile_s8<6, kOut>(t);
  }
}

void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  const size_t panel_bytes = (k + 3) / 4 * 4 * kPanelS8;
  const size_t tiles = (m + 5) / 6;
  for (size_t n = n0; n < n1; n += kPanelS8) {
    TileS8 t{};
    t.k = k;
    t.a = a;
    t.lda = lda;
    t.zero = a_zero;
    t.zero_stride = a_zero_stride;
    t.panel = packed + n / kPanelS8 * panel_bytes;
    t.next = reinterpret_cast<const char*>(t.panel);
    t.sums = column_sums + n;
    t.c = c + n;
    t.ldc = ldc;
    for (size_t j = 0; j < 4; ++j) {
      const size_t left = n1 - n > 16 * j ? n1 - n - 16 * j : 0;
      t.mask[j] = below(left < 16 ? left : 16);
    }
    for (size_t i = 0; i < tiles; ++i) {
      const size_t rows = m * (i + 1) / tiles - m * i / tiles;
      rows_s8<Out::sums>(rows, t);
      t.a += rows * lda;
      t.zero += rows * a_zero_stride;
      t.c += rows * ldc;
    }
  }
}

// Panels outside, rows inside: the panel (64 KiB at K = 1024) and A stay in the second-level cache.
// Zen 4, one core: 232 of 234 GMAC/s at K = 1024 to 3072 from four rows on, 224 with swiglu, 192
// with gelu at K = 384. With weights that come from memory, rows up to six go at its speed (25
// GB/s); 16, 32 and 128 rows reach 195, 219 and 226 GMAC/s, where without fetching the next panel
// it was 177, 203 and 223. Two lines at a time, or fetching in the first tile too, is slower.
void gemm_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                   const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                   Epilogue epilogue, float* c, size_t ldc) {
  alignas(64) float buffer[kTileRows * kPanelS8];
  const size_t panel_bytes = packed_s8_bytes(layer.k, 1);
  const size_t tiles = (m + kTileRows - 1) / kTileRows;
  for (size_t n = n0; n < n1; n += kPanelS8) {
    const size_t columns = n1 - n < kPanelS8 ? n1 - n : kPanelS8;
    const bool simple = epilogue == Epilogue::store || epilogue == Epilogue::add;
    const bool direct = simple && columns == kPanelS8;
    float* to = c + (is_gated(epilogue) ? n / 2 : n);
    TileS8 t{};
    t.k = layer.k;
    t.a = a;
    t.lda = lda;
    t.zero = a_zero;
    t.zero_stride = 1;
    t.panel = layer.packed + n / kPanelS8 * panel_bytes;
    t.next = reinterpret_cast<const char*>(t.panel);
    t.sums = layer.column_sums + n;
    t.a_scale = a_scale;
    t.scale = layer.scale + n;
    t.bias = layer.bias == nullptr ? nullptr : layer.bias + n;
    t.f = direct ? to : buffer;
    t.ldf = direct ? ldc : kPanelS8;
    for (size_t i = 0; i < tiles; ++i) {
      const size_t rows = m * (i + 1) / tiles - m * i / tiles;
      // The first tile waits for the panel to come from memory; the next four fetch the next panel,
      // a line for every four k, which is about as fast as memory is.
      t.next_step = i >= 1 && i <= 4 && n + kPanelS8 < n1 ? 64 : 0;
      if (i == 1) t.next += panel_bytes;
      if (direct && epilogue == Epilogue::add) {
        rows_s8<Out::added>(rows, t);
      } else {
        rows_s8<Out::floats>(rows, t);
      }
      if (direct) {
        t.f += rows * ldc;
      } else {
        finish(epilogue, rows, columns, buffer, to, ldc);
        to += rows * ldc;
      }
      t.a += rows * lda;
      t.next += layer.k / 4 * t.next_step;
      t.zero += rows;
      t.a_scale += rows;
    }
  }
}
