// attention.inl in float: the same blocks, maxima and weights, with scores and sums over values as
// chains of fma (gemm_f32), and exp to full precision. Included after it.

struct CallF32 {
  size_t d;
  const float* q;
  size_t ldq;
  float scale;  // with log2(e)
  size_t first;
  Mask mask;
  const KeysF32* keys;
};

// `bad` becomes NaN when a score that the row sees is NaN or infinite: exp2 drops those.
void row_exponentials(float* scores, size_t vectors, float scale, KeyRange seen, float* maximum,
                      float* sum, float* bad) {
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
  *maximum = reduce_max(top);
  *bad = reduce_add(poison);
  F e[4] = {zero, zero, zero, zero};
  for (size_t v = 0; v < vectors; ++v) {
    const F x = max(sub(z[v], set(*maximum)), set(kLowestExponent));
    e[v] = inside(exp2(kExp2, x), seen, v * kLanes, zero);
    store(scores + v * kLanes, e[v]);
  }
  *sum = reduce_add(add(add(e[0], e[1]), add(e[2], e[3])));
}

// e . v over the keys that the rows see, in order. All rows of the tile at once when they see the
// same; otherwise each for itself, as 0 * v of a key not seen would be NaN for an infinite v.
void sum_values(const CallF32& c, size_t row, size_t rows, size_t block, const RowStates& states) {
  const size_t padded = padded_channels(c.d);
  const float* values = c.keys->values + block * kBlockKeys * c.keys->value_stride;
  for (size_t r = 0; r < rows;) {
    const KeyRange seen = within(c.mask(c.first + row + r), block);
    size_t same = 1;
    for (; r + same < rows; ++same) {
      const KeyRange other = within(c.mask(c.first + row + r + same), block);
      if (other.low != seen.low || other.high != seen.high) break;
    }
    gemm_f32_unpacked(same, c.d, seen.high - seen.low, states.scores + r * kBlockKeys + seen.low,
                      kBlockKeys, values + seen.low * c.keys->value_stride, c.keys->value_stride,
                      states.products + r * padded, padded);
    r += same;
  }
}

void tile_block(const CallF32& c, size_t row, size_t rows, size_t block, const RowStates& states) {
  const KeyRange first_seen = within(c.mask(c.first + row), block);
  const KeyRange last_seen = within(c.mask(c.first + row + rows - 1), block);
  if (first_seen.low == kBlockKeys || last_seen.high == 0) return;
  const size_t vectors = (last_seen.high + kLanes - 1) / kLanes;
  const size_t padded = padded_channels(c.d);
  gemm_panels<float>(rows, 0, last_seen.high, c.d, c.q + row * c.ldq, c.ldq,
                     c.keys->keys + block * c.keys->key_stride, nullptr, states.scores, kBlockKeys);
  TileBlock t;
  begin_tile(t);
  for (size_t r = 0; r < rows; ++r) {
    const KeyRange seen = within(c.mask(c.first + row + r), block);
    row_exponentials(states.scores + r * kBlockKeys, vectors, c.scale, seen, t.maximum + r,
                     t.sum + r, t.bad + r);
  }
  merge(rows, row, states, t);
  sum_values(c, row, rows, block, states);
  for (size_t r = 0; r < rows; ++r) {
    float* out = states.out + (row + r) * padded;
    const float* product = states.products + r * padded;
    for (size_t i = 0; i < c.d; i += kLanes) {
      const size_t n = c.d - i < kLanes ? c.d - i : kLanes;
      const F before = mul(load(out + i), set(t.before[r]));
      store(out + i, fma(load(product + i, n), set(t.now[r]), before));
    }
  }
}

void attention_f32(size_t rows, size_t d, const float* q, size_t ldq, float scale, size_t first,
                   bool causal, size_t window, const KeysF32& keys, float* out, size_t ldo,
                   void* scratch) {
  if (rows == 0) return;
  const CallF32 c{d, q, ldq, scale * 0x1.715476p+0F, first, {causal, window, keys.count}, &keys};
  const RowStates states = begin_rows(rows, d, scratch);
  const size_t low = c.mask(first).low;
  const size_t high = c.mask(first + rows - 1).high;
  const size_t tiles = (rows + kAttentionTile - 1) / kAttentionTile;
  for (size_t b = low / kBlockKeys; b * kBlockKeys < high; ++b) {
    for (size_t i = 0; i < tiles; ++i) {
      const size_t from = rows * i / tiles;
      tile_block(c, from, rows * (i + 1) / tiles - from, b, states);
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    finish_row(d, states.out + r * padded_channels(d), states.sum[r], 0.0F, out + r * ldo);
  }
}
