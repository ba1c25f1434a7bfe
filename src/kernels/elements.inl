// Element-wise kernels that take no row, over the `F` of <isa>/lanes.inl. Included inside the
// anonymous namespace of each ISA, after rows.inl.

// Both halves of sixteen (or n) pairs; each element is one product and one fma.
inline void rotate_pairs(F low, F high, const float* cos, const float* sin, size_t half, size_t n,
                         float* x) {
  const bool full = n == kLanes;
  const auto get = [=](const float* p) { return full ? load(p) : load(p, n); };
  const F new_low = fma(low, get(cos), mul(negate(high), get(sin)));
  const F new_high = fma(high, get(cos + half), mul(low, get(sin + half)));
  full ? store(x, new_low) : store(x, new_low, n);
  full ? store(x + half, new_high) : store(x + half, new_high, n);
}

void rotate_half(size_t d, float* x, const float* cos, const float* sin) {
  const size_t half = d / 2;
  size_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    rotate_pairs(load(x + i), load(x + i + half), cos + i, sin + i, half, kLanes, x + i);
  }
  if (i < half) {
    const size_t n = half - i;
    rotate_pairs(load(x + i, n), load(x + i + half, n), cos + i, sin + i, half, n, x + i);
  }
}

void add_to(size_t n, const float* x, float* y) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, add(load(y + i), load(x + i)));
  if (i < n) store(y + i, add(load(y + i, n - i), load(x + i, n - i)), n - i);
}

void widen_bf16(size_t n, const uint16_t* x, float* y) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load_bf16(x + i));
  if (i < n) {
    uint16_t rest[kLanes] = {};
    __builtin_memcpy(rest, x + i, (n - i) * sizeof(uint16_t));
    store(y + i, load_bf16(rest), n - i);
  }
}

void dequantize_s8(size_t n, const int8_t* x, float scale, float* y) {
  const F s = set(scale);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, mul(load_s8(x + i), s));
  if (i < n) {
    int8_t rest[kLanes] = {};
    __builtin_memcpy(rest, x + i, n - i);
    store(y + i, mul(load_s8(rest), s), n - i);
  }
}

float sum_squares(size_t n, const float* x) {
  F squares = set(0.0F);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F v = load(x + i);
    squares = fma(v, v, squares);
  }
  if (i < n) {
    const F v = load(x + i, n - i);
    squares = fma(v, v, squares);
  }
  return reduce_add(squares);
}
