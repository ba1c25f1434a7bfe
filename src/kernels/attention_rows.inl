// What attention in fixed point and in float share: which keys a row sees, and how a block of 64
// joins the blocks before it, over the `F` of <isa>/lanes.inl. Included inside the anonymous
// namespace of each ISA.
//
// For each block a row finds a base and a maximum (its largest score, log2, is their sum; two
// floats, so that a small maximum is not lost in a huge base), a sum of weights relative to it, and
// outputs relative to it. With x = (base + maximum) - (those of the largest block so far), each
// part by itself, a = 2^min(0, -x) and b = 2^min(0, x):
//   sum = sum * a + b * sum of the block,   out[c] = out[c] * a + b * out[c] of the block
// and out / sum in the end. A block of which a row sees nothing changes nothing in it, whatever the
// rows beside it see: a = 1, b = -0, since x + -0 is x for both zeros too.

constexpr float kLowestExponent = -120.0F;

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

// The same for keys [0, high), without masks: sixteen from [64 - high + from] on.
struct Edge {
  alignas(64) float v[2 * kBlockKeys];
  constexpr Edge(float seen, float unseen) : v() {
    for (size_t i = 0; i < 2 * kBlockKeys; ++i) v[i] = i < kBlockKeys ? seen : unseen;
  }
};
constexpr Edge kAddend(0.0F, -kInfinity);
constexpr Edge kFactor(1.0F, 0.0F);

// How much of a block the rows of a tile may not see: nothing, some of its end, some at both ends.
enum class Part { whole, end, ends };

// Rows [row, row + rows) against one block.
struct Tile {
  size_t row;
  size_t rows;
  size_t vectors;  // of sixteen keys, beyond which no row sees any; 0: no row sees the block
  Part part;

  Tile(const Mask& mask, size_t first, size_t row_, size_t rows_, size_t block)
      : row(row_), rows(rows_) {
    const KeyRange from = within(mask(first + row), block);
    const KeyRange to = within(mask(first + row + rows - 1), block);
    vectors = from.low == kBlockKeys ? 0 : (to.high + kLanes - 1) / kLanes;
    part = to.low != 0 ? Part::ends : from.high != kBlockKeys ? Part::end : Part::whole;
  }
};

// All rows of a call, in its scratch. Arrays of floats are rounded up to 16, and have room for
// sixteen more, so that a tile may store its rows as sixteen lanes; the next tile follows.
struct RowStates {
  size_t lanes;
  float* out;  // [rows][padded channels]
  // Of the largest block so far, and the sum relative to it.
  float* base;
  float* maximum;
  float* sum;
  // Of the block at hand; a maximum of -inf: nothing seen. `bad` is NaN for a row that must become
  // NaN; one whose base or maximum is not finite becomes so too.
  float* found_base;
  float* found_maximum;
  float* found_sum;
  float* bad;
  // a and b.
  float* before;
  float* now;
  float* weights;   // of the block's keys, [rows][64]; 16-bit integers, or floats
  float* products;  // [kAttentionTile][the larger of 64 and padded channels]
  float* queries;   // [rows][padded channels / 2]: room for a copy of 16-bit integers
};

RowStates begin_rows(size_t rows, size_t d, void* scratch) {
  RowStates s;
  s.lanes = (rows + kLanes - 1) / kLanes * kLanes;
  s.out = static_cast<float*>(scratch);
  float* next = s.out + rows * padded_channels(d);
  float** const arrays[] = {&s.base,      &s.maximum, &s.sum,    &s.found_base, &s.found_maximum,
                            &s.found_sum, &s.bad,     &s.before, &s.now};
  for (float** array : arrays) {
    *array = next;
    next += s.lanes + kLanes;
  }
  s.weights = next;
  s.queries = next + rows * kBlockKeys;
  s.products = s.queries + rows * (padded_channels(d) / 2);
  const F zero = set(0.0F);
  for (size_t i = 0; i < rows * padded_channels(d); i += kLanes) store(s.out + i, zero);
  for (size_t i = 0; i < s.lanes; i += kLanes) {
    store(s.base + i, zero);
    store(s.maximum + i, set(-kInfinity));
    store(s.sum + i, zero);
  }
  return s;
}

// A tile of which no row sees the block.
void see_nothing(const Tile& tile, const RowStates& s) {
  for (size_t r = tile.row; r < tile.row + tile.rows; ++r) {
    s.found_base[r] = 0.0F;
    s.found_maximum[r] = -kInfinity;
    s.found_sum[r] = 0.0F;
    s.bad[r] = 0.0F;
  }
}

void merge_block(const RowStates& s) {
  const F zero = set(0.0F);
  const F nothing = set(-kInfinity);
  const F lowest = set(kLowestExponent);
  for (size_t i = 0; i < s.lanes; i += kLanes) {
    const F base = load(s.found_base + i);
    const F maximum = load(s.found_maximum + i);
    const F old_base = load(s.base + i);
    const F old_maximum = load(s.maximum + i);
    // -inf - -inf is NaN, which min(NaN, 0) drops: a row that has seen nothing yet is all zeros.
    const F x = add(sub(base, old_base), sub(maximum, old_maximum));
    const F before = exp2(kExp2, max(min(negate(x), zero), lowest));
    F now = exp2(kExp2, max(min(x, zero), lowest));
    now = select_less(nothing, maximum, now, set(-0.0F));
    const F finite = select_less(nothing, maximum, sub(maximum, maximum), zero);
    const F bad = add(load(s.bad + i), add(sub(base, base), finite));
    const F sum = fma(load(s.found_sum + i), now, mul(load(s.sum + i), before));
    store(s.base + i, select_less(zero, x, base, old_base));
    store(s.maximum + i, select_less(zero, x, maximum, old_maximum));
    store(s.sum + i, add(sum, bad));
    store(s.before + i, before);
    store(s.now + i, now);
  }
}

// NaN where `check` (a row's score factor) is not finite.
void finish_row(size_t d, const float* state, float sum, float check, float* out) {
  const F scale = set((sum == 0.0F ? 0.0F : 1.0F / sum) + (check - check));
  size_t i = 0;
  for (; i + kLanes <= d; i += kLanes) store(out + i, mul(load(state + i), scale));
  if (i < d) store(out + i, mul(load(state + i), scale), d - i);
}
