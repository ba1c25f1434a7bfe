// Attention of one head in fixed point, over the two integer products of <isa>/attention.inl, which
// also says how many rows a tile has and what it makes of a block's keys and values (Operands).
// Included after attention_rows.inl. For each row and block:
//   u[j] = float(q . k[j]) * key_scale[j],   u0 = u of the first key that the row sees in the block
//   z[j] = fma(u[j] - u0, t, w[j]),          t = q_scale * scale * log2(e), u0 t is the base
//   m    = max z[j] of the keys that the row sees
//   e[j] = 2^(z[j] - m) * 8192, exactly 0 for keys not seen
//   sum of the block    = e[0] * 2^-w[0] + e[1] * 2^-w[1] + ...
//   out[c] of the block = float(round(e) . v[c])
// where w[j] is the value's log2 scale: e[j] is what v[j] as integers is to be multiplied by. The
// integers round(e) are relative to the largest product of probability and value in their block, so
// neither a block far below the row's maximum loses precision, nor one where a token takes all the
// attention and has next to no value (the sink of causal models).

static_assert(kTileS16 <= kAttentionTile);
// Rows whose maxima or sums are found together, and a tile in whole such groups.
constexpr size_t kReduced = 6;
constexpr size_t kReducedRows = (kTileS16 + kReduced - 1) / kReduced * kReduced;
// From so many keys on, rows of queries that lie apart are first copied together: 16 heads of 128
// are rows 4 KiB apart, which share the same few lines of the first-level cache (4% of the time,
// AVX2).
constexpr size_t kFarApart = 4 * kBlockKeys;

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

// A tile's int32 products to probabilities, in two passes with the maxima of all rows found
// together in between: row by row, the CPU would wait for each maximum.
struct TileScores {
  alignas(64) float z[kTileS16 * kBlockKeys];
  alignas(64) float partial[kReducedRows * kLanes];  // of maxima, then of sums
  alignas(64) float weight[kTileS16];                // t of each row
  KeyRange seen[kTileS16];
};

// Keys from 16 * kVectors on are seen by no row.
template <size_t kVectors, Part kPart>
[[gnu::noinline]] void find_maxima(const Block& block, const Tile& tile, const int32_t* products,
                                   const RowStates& states, TileScores& s) {
  // Copies in registers, as far as there are any: the compiler cannot know that the stores below
  // leave the block alone.
  F key[kVectors];
  F value[kVectors];
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    key[v] = load(block.key + v * kLanes);
    value[v] = load(block.value + v * kLanes);
  }
  for (size_t r = 0; r < tile.rows; ++r, products += kBlockKeys) {
    const KeyRange seen = kPart == Part::whole ? KeyRange{0, kBlockKeys} : s.seen[r];
    const size_t low = seen.low < seen.high ? seen.low : 0;
    const float first_score = static_cast<float>(products[low]) * block.key[low];
    states.found_base[tile.row + r] = first_score * s.weight[r];
    const F base = set(first_score);
    [[maybe_unused]] const float* end_addend = kAddend.v + kBlockKeys - seen.high;
    const F weight = set(s.weight[r]);
    F top = set(-kInfinity);
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t at = v * kLanes;
      const F scaled = mul(load_int(products + at), key[v]);
      F z = fma(sub(scaled, base), weight, value[v]);
      if constexpr (kPart == Part::end) z = add(z, load(end_addend + at));
      if constexpr (kPart == Part::ends) z = inside(z, seen, at, set(-kInfinity));
      store(s.z + r * kBlockKeys + at, z);
      top = max(z, top);
    }
    store(s.partial + r * kLanes, top);
  }
  for (size_t r = 0; r < tile.rows; r += kReduced)
    store(states.found_maximum + tile.row + r, reduce_max_rows(s.partial + r * kLanes));
}

template <size_t kVectors, Part kPart>
[[gnu::noinline]] void find_probabilities(const Block& block, const Tile& tile,
                                          const RowStates& states, TileScores& s) {
  auto* to = reinterpret_cast<int16_t*>(states.weights) + tile.row * kBlockKeys;
  const F zero = set(0.0F);
  F inverse[kVectors];
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) inverse[v] = load(block.inverse + v * kLanes);
  for (size_t r = 0; r < tile.rows; ++r, to += kBlockKeys) {
    const KeyRange seen = kPart == Part::whole ? KeyRange{0, kBlockKeys} : s.seen[r];
    const F shift = set(states.found_maximum[tile.row + r]);
    [[maybe_unused]] const float* end_factor = kFactor.v + kBlockKeys - seen.high;
    F e[4] = {zero, zero, zero, zero};
    F sum = zero;
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t at = v * kLanes;
      const F x = sub(load(s.z + r * kBlockKeys + at), shift);
      e[v] = exp2(kExp2Probability, at_least(x, kLowestExponent));
      if constexpr (kPart == Part::end) e[v] = mul(e[v], load(end_factor + at));
      if constexpr (kPart == Part::ends) e[v] = inside(e[v], seen, at, zero);
      sum = fma(e[v], inverse[v], sum);
    }
    store(s.partial + r * kLanes, sum);
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; v += 2) store_by_fours(to + v * kLanes, e[v], e[v + 1]);
  }
  for (size_t r = 0; r < tile.rows; r += kReduced)
    store(states.found_sum + tile.row + r, reduce_add_rows(s.partial + r * kLanes));
}

enum class Find { maxima, probabilities };

template <size_t kVectors, Part kPart>
void find(Find what, const Block& block, const Tile& tile, const RowStates& states, TileScores& s) {
  if (what == Find::maxima) {
    const auto* products = reinterpret_cast<const int32_t*>(states.products);
    find_maxima<kVectors, kPart>(block, tile, products, states, s);
  } else {
    find_probabilities<kVectors, kPart>(block, tile, states, s);
  }
}

template <Part kPart>
void find(Find what, const Block& block, const Tile& tile, const RowStates& states, TileScores& s) {
  switch (tile.vectors) {
    case 1:
      return find<1, kPart>(what, block, tile, states, s);
    case 2:
      return find<2, kPart>(what, block, tile, states, s);
    case 3:
      return find<3, kPart>(what, block, tile, states, s);
    default:
      return find<4, kPart>(what, block, tile, states, s);
  }
}

void find(Find what, const Block& block, const Tile& tile, const RowStates& states, TileScores& s) {
  switch (tile.part) {
    case Part::whole:
      return find<4, Part::whole>(what, block, tile, states, s);
    case Part::end:
      return find<Part::end>(what, block, tile, states, s);
    case Part::ends:
      return find<Part::ends>(what, block, tile, states, s);
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
  Operands* operands;
};

void begin_scores(const CallS16& c, const Block& block, const Tile& tile, const RowStates& states,
                  TileScores& s) {
  for (size_t r = 0; r < kReducedRows; ++r) {
    if (r >= tile.rows) {
      store(s.partial + r * kLanes, set(0.0F));
      continue;
    }
    states.bad[tile.row + r] = 0.0F;
    s.weight[r] = c.q_scale[tile.row + r] * c.scale;
    if (tile.part == Part::whole && block.bad == 0) continue;
    const KeyRange seen = within(c.mask(c.first + tile.row + r), block.index);
    s.seen[r] = seen;
    if (block.bad == 0 || seen.low == seen.high) continue;
    const uint64_t bits = ~uint64_t{0} >> (kBlockKeys - (seen.high - seen.low)) << seen.low;
    if ((block.bad & bits) != 0) states.bad[tile.row + r] = __builtin_nanf("");
  }
}

// All rows against one block, in three rounds over the tiles, so that the block's keys stay in the
// first-level cache and then its values.
void attend_block(const CallS16& c, size_t rows, size_t index, const RowStates& states) {
  const Keys& keys = *c.keys;
  Block block;
  block.index = index;
  read_scales(keys.key_scale + index * keys.key_scale_stride,
              keys.value_scale + index * keys.value_scale_stride, block);
  const size_t tiles = (rows + kTileS16 - 1) / kTileS16;
  const auto tile_at = [&](size_t i) {
    const size_t from = rows * i / tiles;
    return Tile(c.mask, c.first, from, rows * (i + 1) / tiles - from, index);
  };
  TileScores scores;
  c.operands->take_keys(rows, c.d, keys.keys + index * keys.key_stride);
  for (size_t i = 0; i < tiles; ++i) {
    const Tile tile = tile_at(i);
    if (tile.vectors == 0) {
      see_nothing(tile, states);
      continue;
    }
    tile_scores(*c.operands, tile.rows, tile.vectors, c.d, c.q + tile.row * c.ldq, c.ldq,
                reinterpret_cast<int32_t*>(states.products));
    begin_scores(c, block, tile, states, scores);
    find(Find::maxima, block, tile, states, scores);
    find(Find::probabilities, block, tile, states, scores);
  }
  merge_block(states);
  const size_t padded = padded_channels(c.d);
  c.operands->take_values(rows, padded, keys.values + index * keys.value_stride);
  for (size_t i = 0; i < tiles; ++i) {
    const Tile tile = tile_at(i);
    if (tile.vectors == 0) continue;
    tile_values(*c.operands, tile.rows, (tile.vectors + 1) / 2, padded,
                reinterpret_cast<int16_t*>(states.weights) + tile.row * kBlockKeys,
                states.before + tile.row, states.now + tile.row, states.out + tile.row * padded);
  }
}

void attention_s16(size_t rows, size_t d, const int16_t* q, size_t ldq, const float* q_scale,
                   float scale, size_t first, bool causal, size_t window, const Keys& keys,
                   float* out, size_t ldo, void* scratch) {
  if (rows == 0) return;
  Operands operands;
  CallS16 c{
      d,     q,        ldq, q_scale, scale * 0x1.715476p+0F, first, {causal, window, keys.count},
      &keys, &operands};
  const RowStates states = begin_rows(rows, d, scratch);
  const size_t high = c.mask(first + rows - 1).high;
  if (high > kFarApart && ldq > d) {
    const size_t step = padded_channels(d);
    auto* to = reinterpret_cast<int16_t*>(states.queries);
    for (size_t r = 0; r < rows; ++r) __builtin_memcpy(to + r * step, q + r * ldq, d * sizeof *q);
    c.q = to;
    c.ldq = step;
  }
  for (size_t b = c.mask(first).low / kBlockKeys; b * kBlockKeys < high; ++b) {
    attend_block(c, rows, b, states);
  }
  for (size_t r = 0; r < rows; ++r) {
    finish_row(d, states.out + r * padded_channels(d), states.sum[r], q_scale[r] * c.scale,
               out + r * ldo);
  }
}
