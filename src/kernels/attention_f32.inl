// Attention of one head in float: scores and sums over values as chains of fma (gemm_f32), and exp
// to full precision. Included after attention_rows.inl. For each row and block, z[j] = (q . k[j]) t
// with t = scale * log2(e), m = max z[j] of the keys that the row sees, e[j] = 2^(z[j] - m),
// exactly 0 for keys not seen; sum of the block = e[0] + e[1] + ..., out[c] of the block = e .
// v[c].

constexpr size_t kTileF32 = 12;  // rows: two tiles of the float product
static_assert(kTileF32 <= kAttentionTile);

struct CallF32 {
  size_t d;
  const float* q;
  size_t ldq;
  float scale;  // with log2(e)
  size_t first;
  Mask mask;
  const KeysF32* keys;
};

// Scores of a row to e in place. `bad` becomes NaN when a score that the row sees is NaN or
// infinite, as max drops a NaN.
void row_exponentials(float* scores, size_t vectors, float scale, KeyRange seen, size_t row,
                      const RowStates& states) {
  F z[4];
  const F zero = set(0.0F);
  F poison = zero;
  F top = set(-kInfinity);
  for (size_t v = 0; v < vectors; ++v) {
    const F score = mul(load(scores + v * kLanes), set(scale));
    poison = add(poison, inside(mul(score, zero), seen, v * kLanes, zero));
    z[v] = inside(score, seen, v * kLanes, set(-kInfinity));
    top = max(z[v], top);
  }
  const float maximum = reduce_max(top);
  F e[4] = {zero, zero, zero, zero};
  for (size_t v = 0; v < vectors; ++v) {
    const F x = max(sub(z[v], set(maximum)), set(kLowestExponent));
    e[v] = inside(exp2(kExp2, x), seen, v * kLanes, zero);
    store(scores + v * kLanes, e[v]);
  }
  states.found_base[row] = 0.0F;
  states.found_maximum[row] = maximum;
  states.found_sum[row] = reduce_add(add(add(e[0], e[1]), add(e[2], e[3])));
  states.bad[row] = reduce_add(poison);
}

// e . v over the keys that the rows see, in order. All rows of the tile at once when they see the
// same; otherwise each for itself, as 0 * v of a key not seen would be NaN for an infinite v.
void sum_values(const CallF32& c, const Tile& tile, size_t block, const RowStates& states) {
  const size_t padded = padded_channels(c.d);
  const float* values = c.keys->values + block * kBlockKeys * c.keys->value_stride;
  for (size_t r = 0; r < tile.rows;) {
    const KeyRange seen = within(c.mask(c.first + tile.row + r), block);
    size_t same = 1;
    for (; r + same < tile.rows; ++same) {
      const KeyRange other = within(c.mask(c.first + tile.row + r + same), block);
      if (other.low != seen.low || other.high != seen.high) break;
    }
    gemm_f32_unpacked(same, c.d, seen.high - seen.low,
                      states.weights + (tile.row + r) * kBlockKeys + seen.low, kBlockKeys,
                      values + seen.low * c.keys->value_stride, c.keys->value_stride,
                      states.products + r * padded, padded);
    r += same;
  }
  for (size_t r = 0; r < tile.rows; ++r) {
    float* out = states.out + (tile.row + r) * padded;
    const float* product = states.products + r * padded;
    const F before = set(states.before[tile.row + r]);
    const F now = set(states.now[tile.row + r]);
    for (size_t i = 0; i < c.d; i += kLanes) {
      const size_t n = c.d - i < kLanes ? c.d - i : kLanes;
      store(out + i, fma(load(product + i, n), now, mul(load(out + i), before)));
    }
  }
}

// All rows against one block, in three rounds over the tiles, like attend_block of CallS16.
void attend_block(const CallF32& c, size_t rows, size_t block, const RowStates& states) {
  const size_t tiles = (rows + kTileF32 - 1) / kTileF32;
  const auto tile_at = [&](size_t i) {
    const size_t from = rows * i / tiles;
    return Tile(c.mask, c.first, from, rows * (i + 1) / tiles - from, block);
  };
  for (size_t i = 0; i < tiles; ++i) {
    const Tile tile = tile_at(i);
    if (tile.vectors == 0) {
      see_nothing(tile, states);
      continue;
    }
    float* scores = states.weights + tile.row * kBlockKeys;
    const KeyRange last = within(c.mask(c.first + tile.row + tile.rows - 1), block);
    gemm_panels<float>(tile.rows, 0, last.high, c.d, c.q + tile.row * c.ldq, c.ldq,
                       c.keys->keys + block * c.keys->key_stride, nullptr, scores, kBlockKeys);
    for (size_t r = 0; r < tile.rows; ++r) {
      row_exponentials(scores + r * kBlockKeys, tile.vectors, c.scale,
                       within(c.mask(c.first + tile.row + r), block), tile.row + r, states);
    }
  }
  merge_block(states);
  for (size_t i = 0; i < tiles; ++i) {
    const Tile tile = tile_at(i);
    if (tile.vectors > 0) sum_values(c, tile, block, states);
  }
}

void attention_f32(size_t rows, size_t d, const float* q, size_t ldq, float scale, size_t first,
                   bool causal, size_t window, const KeysF32& keys, float* out, size_t ldo,
                   void* scratch) {
  if (rows == 0) return;
  const CallF32 c{d, q, ldq, scale * 0x1.715476p+0F, first, {causal, window, keys.count}, &keys};
  const RowStates states = begin_rows(rows, d, scratch);
  const size_t high = c.mask(first + rows - 1).high;
  for (size_t b = c.mask(first).low / kBlockKeys; b * kBlockKeys < high; ++b) {
    attend_block(c, rows, b, states);
  }
  for (size_t r = 0; r < rows; ++r) {
    finish_row(d, states.out + r * padded_channels(d), states.sum[r], 0.0F, out + r * ldo);
  }
}
