// Attention of one head, a block of 64 keys at a time, over the `F` of <isa>/lanes.inl and the two
// integer products of <isa>/attention.inl. Included inside the anonymous namespace of each ISA.
//
// For each row and block, in order:
//   u[j] = float(q . k[j]) * key_scale[j],   u0 = u of the first key that the row sees in the block
//   z[j] = fma(u[j] - u0, t, w[j]),          t = q_scale * scale * log2(e)
//   m    = max z[j] of the keys that the row sees
//   e[j] = 2^(z[j] - m) * 8192, exactly 0 for keys not seen
// where w[j] is the value's log2 scale: e[j] is what v[j] as integers is to be multiplied by.
// Taking u0 off first keeps w exact when all scores are huge. With x = (u0 t + m) - (the same of
// the largest block so far), each part by itself, a = 2^min(0, -x), b = 2^min(0, x):
//   sum    = sum * a + b * (e[0] * 2^-w[0] + e[1] * 2^-w[1] + ...)
//   out[c] = out[c] * a + b * float(round(e) . v[c])
// and out / sum in the end. The integers round(e) are relative to the largest product of
// probability and value in their block, so neither a block far below the row's maximum loses
// precision, nor one where a token takes all the attention and has next to no value (the sink of
// causal models). A block that a row does not see changes nothing in it: a = 1, b = -0, since x +
// -0 is x for both zeros too.

constexpr float kLowestExponent = -120.0F;
constexpr size_t kTileS16 = 6;
static_assert(kTileS16 <= kAttentionTile);

// Keys [low, high).
struct KeyRange {
  size_t low;
  size_t high;
};

struct Mask {
  bool causal;
  size_t window;
  size_t count;
  // Both ends never fall from one position to the next.
  KeyRange operator()(size_t position) const {
    KeyRange seen{0, causal && position < count ? position + 1 : count};
    if (window > 0) {
      if (position + 1 > window) seen.low = position + 1 - window;
      if (!causal && position < count && window < count - position) seen.high = position + window;
    }
    if (seen.low > seen.high) seen.low = seen.high;
    return seen;
  }
};

// The part of `seen` that lies in the block, counted from its beginning.
inline KeyRange within(KeyRange seen, size_t block) {
  const size_t from = block * kBlockKeys;
  const size_t low = seen.low > from ? seen.low - from : 0;
  const size_t high = seen.high > from ? seen.high - from : 0;
  const KeyRange r{low < kBlockKeys ? low : kBlockKeys, high < kBlockKeys ? high : kBlockKeys};
  return {r.low < r.high ? r.low : r.high, r.high};
}

// x for the lanes of keys `from`, from + 1, ... in the range, `other` for the rest.
inline F inside(F x, KeyRange range, size_t from, F other) {
  const size_t low = range.low > from ? range.low - from : 0;
  const size_t high = range.high > from ? range.high - from : 0;
  x = first(x, high < kLanes ? high : kLanes, other);
  return first(other, low < kLanes ? low : kLanes, x);
}

// What a tile of rows carries from block to block, and what one block gives it.
struct RowStates {
  float* out;      // [rows][padded channels]
  float* base;     // u0 t of the largest block, [rows rounded up to 16]
  float* maximum;  // its m
  float* sum;
  float* scores;         // or the int32 they are made of: [kAttentionTile][64]
  float* probabilities;  // or 16-bit integers: [kAttentionTile][64]
  float* products;       // [kAttentionTile][padded channels]
};

RowStates begin_rows(size_t rows, size_t d, void* scratch) {
  const size_t lanes = (rows + kLanes - 1) / kLanes * kLanes;
  RowStates s;
  s.out = static_cast<float*>(scratch);
  s.base = s.out + rows * padded_channels(d);
  s.maximum = s.base + lanes;
  s.sum = s.maximum + lanes;
  s.scores = s.sum + lanes;
  s.probabilities = s.scores + kAttentionTile * kBlockKeys;
  s.products = s.probabilities + kAttentionTile * kBlockKeys;
  for (size_t i = 0; i < rows * padded_channels(d); i += kLanes) store(s.out + i, set(0.0F));
  for (size_t i = 0; i < lanes; i += kLanes) {
    store(s.base + i, set(0.0F));
    store(s.maximum + i, set(-kInfinity));
    store(s.sum + i, set(0.0F));
  }
  return s;
}

// One block as seen by the rows of a tile, a lane each, and NaN in `bad` for a row that must become
// NaN. What is not finite in the others makes the row NaN too.
struct TileBlock {
  alignas(64) float base[kLanes];
  alignas(64) float maximum[kLanes];  // -inf: nothing seen
  alignas(64) float sum[kLanes];
  alignas(64) float bad[kLanes];
  // Out: the weights of what was before and of this block.
  alignas(64) float before[kLanes];
  alignas(64) float now[kLanes];
};

void begin_tile(TileBlock& t) {
  store(t.base, set(0.0F));
  store(t.maximum, set(-kInfinity));
  store(t.sum, set(0.0F));
  store(t.bad, set(0.0F));
}

void merge(size_t rows, size_t row, const RowStates& states, TileBlock& t) {
  float* const at_base = states.base + row;
  float* const at_maximum = states.maximum + row;
  float* const at_sum = states.sum + row;
  const F zero = set(0.0F);
  const F lowest = set(kLowestExponent);
  const F base = load(t.base);
  const F maximum = load(t.maximum);
  const F old_base = load(at_base, rows);
  const F old_maximum = load(at_maximum, rows);
  // -inf - -inf is NaN, which min(NaN, 0) drops: a row that has seen nothing yet is all zeros.
  const F x = add(sub(base, old_base), sub(maximum, old_maximum));
  const F before = exp2(kExp2, max(min(negate(x), zero), lowest));
  F now = exp2(kExp2, max(min(x, zero), lowest));
  now = select_less(set(-kInfinity), maximum, now, set(-0.0F));
  const F bad = add(load(t.bad), sub(base, base));
  store(at_base, select_less(zero, x, base, old_base), rows);
  store(at_maximum, select_less(zero, x, maximum, old_maximum), rows);
  store(at_sum, add(fma(load(t.sum), now, mul(load(at_sum, rows), before)), bad), rows);
  store(t.before, before);
  store(t.now, now);
}

// out = states / sum. NaN where `check` (a row's score factor) is not finite.
void finish_row(size_t d, const float* state, float sum, float check, float* out) {
  const F scale = set((sum == 0.0F ? 0.0F : 1.0F / sum) + (check - check));
  size_t i = 0;
  for (; i + kLanes <= d; i += kLanes) store(out + i, mul(load(state + i), scale));
  if (i < d) store(out + i, mul(load(state + i), scale), d - i);
}

// Scales of one block, harmless where they are NaN, which `bad` has a bit for.
struct Block {
  size_t index;
  uint64_t bad;
  alignas(64) float key[kBlockKeys];
  alignas(64) float value[kBlockKeys];    // w
  alignas(64) float inverse[kBlockKeys];  // 2^-w
};

void read_scales(const float* key, const float* value, Block& block) {
  block.bad = 0;
  const F zero = set(0.0F);
  F finite = zero;
  for (size_t j = 0; j < kBlockKeys; j += kLanes) {
    const F k = load(key + j);
    F w = load(value + j);
    finite = fma(add(k, w), zero, finite);
    // Neither is true of NaN.
    w = select_less(w, zero, w, select_less(zero, w, w, zero));
    store(block.key + j, max(k, zero));
    store(block.value + j, w);
    store(block.inverse + j, exp2(kExp2, negate(w)));
  }
  if (reduce_add(finite) == 0.0F) return;
  for (size_t j = 0; j < kBlockKeys; ++j) {
    if (key[j] != key[j] || value[j] != value[j]) block.bad |= uint64_t{1} << j;
  }
}

// One row of a tile: int32 products to probabilities. kPart: it may not see all of the keys.
struct RowBlock {
  const int32_t* products;
  float weight;  // t
  KeyRange seen;
  int16_t* probabilities;
  float* base;
  float* maximum;
  float* sum;
};

template <size_t kVectors, bool kPart>
void row_probabilities(const Block& block, const RowBlock& row) {
  const float first_score =
      static_cast<float>(row.products[row.seen.low]) * block.key[row.seen.low];
  *row.base = first_score * row.weight;
  const F offset = set(first_score);
  const F weight = set(row.weight);
  const F zero = set(0.0F);
  F z[kVectors];
  F top = set(-kInfinity);
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    const size_t at = v * kLanes;
    const F scaled = mul(load_int(row.products + at), load(block.key + at));
    z[v] = fma(sub(scaled, offset), weight, load(block.value + at));
    if constexpr (kPart) z[v] = inside(z[v], row.seen, at, set(-kInfinity));
    top = max(z[v], top);
  }
  *row.maximum = reduce_max(top);
  const F shift = set(*row.maximum);
  F e[4] = {zero, zero, zero, zero};
  F sum = zero;
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    e[v] = exp2(kExp2Probability, max(sub(z[v], shift), set(kLowestExponent)));
    if constexpr (kPart) e[v] = inside(e[v], row.seen, v * kLanes, zero);
    sum = fma(e[v], load(block.inverse + v * kLanes), sum);
  }
  *row.sum = reduce_add(sum);
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; v += 2) {
    store_by_fours(row.probabilities + v * kLanes, e[v], e[v + 1]);
  }
}

void row_probabilities(size_t vectors, const Block& block, const RowBlock& row) {
  // Nothing seen: zeros, and the rest of the tile's block as begin_tile left it.
  if (row.seen.low == row.seen.high) {
    for (size_t i = 0; i < kBlockKeys; i += 2 * kLanes) {
      store_by_fours(row.probabilities + i, set(0.0F), set(0.0F));
    }
    return;
  }
  if (row.seen.low == 0 && row.seen.high == kBlockKeys) {
    return row_probabilities<4, false>(block, row);
  }
  switch (vectors) {
    case 1:
      return row_probabilities<1, true>(block, row);
    case 2:
      return row_probabilities<2, true>(block, row);
    case 3:
      return row_probabilities<3, true>(block, row);
    default:
      return row_probabilities<4, true>(block, row);
  }
}

struct CallS16 {
  size_t d;
  const int16_t* q;
  size_t ldq;
  const float* q_scale;
  float scale;  // with log2(e)
  size_t first;
  Mask mask;
  const Keys* keys;
};

// Rows [row, row + rows) against one block.
void tile_block(const CallS16& c, size_t row, size_t rows, const Block& block,
                const RowStates& states) {
  const KeyRange first_seen = within(c.mask(c.first + row), block.index);
  const KeyRange last_seen = within(c.mask(c.first + row + rows - 1), block.index);
  if (first_seen.low == kBlockKeys || last_seen.high == 0) return;
  const size_t vectors = (last_seen.high + kLanes - 1) / kLanes;
  const size_t padded = padded_channels(c.d);
  auto* const products = reinterpret_cast<int32_t*>(states.scores);
  auto* const probabilities = reinterpret_cast<int16_t*>(states.probabilities);
  tile_scores(rows, vectors, c.d, c.q + row * c.ldq, c.ldq,
              c.keys->keys + block.index * c.keys->key_stride, products);

  TileBlock t;
  begin_tile(t);
  for (size_t r = 0; r < rows; ++r) {
    const KeyRange seen = within(c.mask(c.first + row + r), block.index);
    row_probabilities(vectors, block,
                      {products + r * kBlockKeys, c.q_scale[row + r] * c.scale, seen,
                       probabilities + r * kBlockKeys, t.base + r, t.maximum + r, t.sum + r});
    if (seen.low == seen.high) continue;
    const uint64_t bits = ~uint64_t{0} >> (kBlockKeys - (seen.high - seen.low)) << seen.low;
    // A maximum that is not finite: a score overflowed.
    t.bad[r] = (block.bad & bits) != 0 ? __builtin_nanf("") : t.maximum[r] - t.maximum[r];
  }
  merge(rows, row, states, t);
  tile_values(rows, (vectors + 1) / 2, padded, probabilities,
              c.keys->values + block.index * c.keys->value_stride, t.before, t.now,
              states.out + row * padded);
}

void attention_s16(size_t rows, size_t d, const int16_t* q, size_t ldq, const float* q_scale,
                   float scale, size_t first, bool causal, size_t window, const Keys& keys,
                   float* out, size_t ldo, void* scratch) {
  if (rows == 0) return;
  const CallS16 c{
      d, q, ldq, q_scale, scale * 0x1.715476p+0F, first, {causal, window, keys.count}, &keys};
  const RowStates states = begin_rows(rows, d, scratch);
  const size_t low = c.mask(first).low;
  const size_t high = c.mask(first + rows - 1).high;
  const size_t tiles = (rows + kTileS16 - 1) / kTileS16;
  for (size_t b = low / kBlockKeys; b * kBlockKeys < high; ++b) {
    Block block;
    block.index = b;
    read_scales(keys.key_scale + b * keys.key_scale_stride,
                keys.value_scale + b * keys.value_scale_stride, block);
    for (size_t i = 0; i < tiles; ++i) {
      const size_t from = rows * i / tiles;
      tile_block(c, from, rows * (i + 1) / tiles - from, block, states);
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    finish_row(d, states.out + r * padded_channels(d), states.sum[r], q_scale[r] * c.scale,
               out + r * ldo);
  }
}
