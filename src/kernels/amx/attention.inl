// The two integer products of attention by bytes: with the high byte of a 16-bit integer signed and
// the low one not,
//   x y = 2^16 xh yh + 2^8 (xh yl + xl yh) + xl yl,
// each of the four a product of tiles, their sum exact modulo 2^32, and the whole below 2^31 by the
// limits of kernels/attention.h. Keys and values, packed as pairs of words, are split once for all
// queries of a call into the bytes that tiles read.

constexpr size_t kTileS16 = kTileHeight;
// Wider heads, whose bytes would not fit onto the stack, and depths that no tile divides take the
// products of avx512vnni; so do narrow heads and calls of few queries, for which splitting does not
// pay. Of 512 tokens, microseconds here / there: d = 32 95 / 88, d = 64 116 / 130, d = 128 193 /
// 222; of 32 tokens, d = 128: 3.5 / 2.3. Exponentials are the larger part of either.
constexpr size_t kLeastChannels = 64;
constexpr size_t kMostChannels = 256;
constexpr size_t kFewQueries = 48;

// The stores of a call are there before tiles are loaded: GCC 12's intrinsics do not say that they
// read memory.
inline void stored() { asm volatile("" ::: "memory"); }

// [n / 2][columns][2] words to twice [n / 4][columns][4] bytes, sixteen columns at a time.
void split_pairs(size_t quads, size_t columns, const int16_t* packed, uint8_t* high, uint8_t* low) {
  // The four bytes of a column: bit 7 set gives zero. A shuffle counts within sixteen bytes.
  const __m128i column = _mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
  const auto pick = [&](uint32_t bytes) {
    return _mm512_broadcast_i32x4(_mm_or_si128(column, _mm_set1_epi32(static_cast<int>(bytes))));
  };
  const __m512i upper_low = pick(0x80800200);
  const __m512i lower_low = pick(0x02008080);
  const __m512i upper_high = pick(0x80800301);
  const __m512i lower_high = pick(0x03018080);
  for (size_t q = 0; q < quads; ++q) {
    for (size_t c = 0; c < columns; c += 16, packed += 32, high += 64, low += 64) {
      const __m512i upper = _mm512_loadu_si512(packed);
      const __m512i lower = _mm512_loadu_si512(packed + 2 * columns);
      const __m512i low_bytes = _mm512_or_si512(_mm512_shuffle_epi8(upper, upper_low),
                                                _mm512_shuffle_epi8(lower, lower_low));
      const __m512i high_bytes = _mm512_or_si512(_mm512_shuffle_epi8(upper, upper_high),
                                                 _mm512_shuffle_epi8(lower, lower_high));
      _mm512_storeu_si512(low, low_bytes);
      _mm512_storeu_si512(high, high_bytes);
    }
    packed += 2 * columns;
  }
}

// Rows of up to kMostChannels words, to bytes kMostChannels apart; n in 32s is written.
struct SplitRows {
  alignas(64) uint8_t high[kTileHeight * kMostChannels];
  alignas(64) uint8_t low[kTileHeight * kMostChannels];

  void take(size_t rows, size_t n, const int16_t* x, size_t ldx) {
    for (size_t r = 0; r < rows; ++r) {
      const int16_t* from = x + r * ldx;
      uint8_t* to_high = high + r * kMostChannels;
      uint8_t* to_low = low + r * kMostChannels;
      for (size_t i = 0; i < n; i += 32) {
        const size_t left = n - i < 32 ? n - i : 32;
        __m512i words;
        if (left == 32) {
          words = _mm512_loadu_si512(from + i);
        } else {
          alignas(64) int16_t some[32] = {};
          __builtin_memcpy(some, from + i, left * sizeof *from);
          words = _mm512_load_si512(some);
        }
        _mm256_store_si256(reinterpret_cast<__m256i*>(to_low + i), _mm512_cvtepi16_epi8(words));
        _mm256_store_si256(reinterpret_cast<__m256i*>(to_high + i),
                           _mm512_cvtepi16_epi8(_mm512_srli_epi16(words, 8)));
      }
    }
  }
};

// The sums of the products of bytes. Three and not four: putting a whole together from them takes
// as long as the products, so that a sum that waits for itself now and then costs less.
struct ByteSums {
  alignas(64) int32_t high[16 * 16];
  alignas(64) int32_t middle[16 * 16];
  alignas(64) int32_t low[16 * 16];

  void take() {
    _tile_stored(0, high, 64);
    _tile_stored(2, low, 64);
    _tile_stored(1, middle, 64);
  }
  __m512i row(size_t r) const {
    const __m512i upper = _mm512_slli_epi32(_mm512_load_si512(high + 16 * r), 16);
    const __m512i lower = _mm512_add_epi32(upper, _mm512_load_si512(low + 16 * r));
    return _mm512_add_epi32(lower, _mm512_slli_epi32(_mm512_load_si512(middle + 16 * r), 8));
  }
};

inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
}
// Tiles 4 and 5: high and low bytes of rows; 6 and 7: of columns.
inline void add_products() {
  _tile_dpbsud(1, 4, 7);
  _tile_dpbssd(0, 4, 6);
  _tile_dpbuud(2, 5, 7);
  _tile_dpbusd(1, 5, 6);
}

struct Operands {
  const int16_t* packed;
  bool split;
  size_t shaped_rows = 0;
  size_t shaped_depth = 0;
  Tiles tiles;
  alignas(64) uint8_t high[kMostChannels * kBlockKeys];
  alignas(64) uint8_t low[kMostChannels * kBlockKeys];

  void take_keys(size_t rows, size_t d, const int16_t* keys) {
    packed = keys;
    split = rows >= kFewQueries && d >= kLeastChannels && d <= kMostChannels && tile_depth(d) != 0;
    if (split) split_pairs(d / 4, kBlockKeys, keys, high, low);
  }
  // Of the same rows, so that both are split or none.
  void take_values(size_t /*rows*/, size_t padded, const int16_t* values) {
    packed = values;
    if (split) split_pairs(kBlockKeys / 4, padded, values, high, low);
  }
  void shape_tiles(size_t rows, size_t depth) {
    if (rows == shaped_rows && depth == shaped_depth) return;
    shaped_rows = rows;
    shaped_depth = depth;
    TileShapes s;
    for (int i = 0; i < 3; ++i) shape(s, i, rows, 64);
    for (int i = 4; i < 6; ++i) shape(s, i, rows, depth);
    for (int i = 6; i < 8; ++i) shape(s, i, depth / 4, 64);
    tiles.load(s);
  }
};

void tile_scores(Operands& o, size_t rows, size_t vectors, size_t d, const int16_t* q, size_t ldq,
                 int32_t* products) {
  if (!o.split) {
    for (size_t r = 0; r < rows; r += 6) {
      few_rows::tile_scores(rows - r < 6 ? rows - r : 6, vectors, d, q + r * ldq, ldq, o.packed,
                            products + r * kBlockKeys);
    }
    return;
  }
  SplitRows queries;
  ByteSums sums;
  queries.take(rows, d, q, ldq);
  const size_t depth = tile_depth(d);
  o.shape_tiles(rows, depth);
  stored();
  for (size_t v = 0; v < vectors; ++v, products += kLanes) {
    zero_sums();
    for (size_t c = 0; c < d; c += depth) {
      const size_t at = c / 4 * (4 * kBlockKeys) + 64 * v;
      _tile_loadd(4, queries.high + c, kMostChannels);
      _tile_loadd(6, o.high + at, 4 * kBlockKeys);
      _tile_loadd(5, queries.low + c, kMostChannels);
      _tile_loadd(7, o.low + at, 4 * kBlockKeys);
      add_products();
    }
    sums.take();
    for (size_t r = 0; r < rows; ++r) _mm512_storeu_si512(products + r * kBlockKeys, sums.row(r));
  }
}

// out[c] = out[c] * before + now * float(p . v[c]) over 32 keys a half.
void tile_values(Operands& o, size_t rows, size_t halves, size_t padded,
                 const int16_t* probabilities, const float* before, const float* now, float* out) {
  if (!o.split) {
    for (size_t r = 0; r < rows; r += 6) {
      few_rows::tile_values(rows - r < 6 ? rows - r : 6, halves, padded,
                            probabilities + r * kBlockKeys, o.packed, before + r, now + r,
                            out + r * padded);
    }
    return;
  }
  SplitRows weights;
  ByteSums sums;
  const size_t depth = 32 * halves;
  weights.take(rows, depth, probabilities, kBlockKeys);
  o.shape_tiles(rows, depth);
  stored();
  _tile_loadd(4, weights.high, kMostChannels);
  _tile_loadd(5, weights.low, kMostChannels);
  for (size_t c = 0; c < padded; c += kLanes) {
    _tile_loadd(6, o.high + 4 * c, 4 * padded);
    _tile_loadd(7, o.low + 4 * c, 4 * padded);
    zero_sums();
    add_products();
    sums.take();
    for (size_t r = 0; r < rows; ++r) {
      float* to = out + r * padded + c;
      const __m512 kept = _mm512_mul_ps(_mm512_loadu_ps(to), _mm512_set1_ps(before[r]));
      const __m512 sum = _mm512_cvtepi32_ps(sums.row(r));
      _mm512_storeu_ps(to, _mm512_fmadd_ps(sum, _mm512_set1_ps(now[r]), kept));
    }
  }
}
