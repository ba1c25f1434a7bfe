// Everything that walks over rows sixteen lanes at a time, over the `F` of <isa>/lanes.inl.
// Included inside the anonymous namespace of each ISA, after polynomials.inl.

constexpr float kInfinity = __builtin_inff();

template <F (*function)(F)>
void map(size_t n, const float* x, float* y) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, function(load(x + i)));
  if (i < n) store(y + i, function(load(x + i, n - i)), n - i);
}

void softmax_row(size_t n, const float* x, float* y) {
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  F top = set(-kInfinity);
  for (size_t i = 0; i < whole; i += kLanes) top = max(load(x + i), top);
  if (rest > 0) top = max(first(load(x + whole, rest), rest, set(-kInfinity)), top);
  const float highest = reduce_max(top);
  // Nothing but -inf (or NaN): subtracting 0 gives exp(-inf) = 0 instead of NaN.
  const F shift = set(highest == -kInfinity ? 0.0F : highest);
  F sum = set(0.0F);
  for (size_t i = 0; i < whole; i += kLanes) {
    const F e = exp(sub(load(x + i), shift));
    store(y + i, e);
    sum = add(sum, e);
  }
  if (rest > 0) {
    const F e = exp(sub(load(x + whole, rest), shift));
    store(y + whole, e, rest);
    sum = add(sum, first(e, rest, set(0.0F)));
  }
  const float total = reduce_add(sum);
  const F scale = set(total == 0.0F ? 0.0F : 1.0F / total);
  for (size_t i = 0; i < whole; i += kLanes) store(y + i, mul(load(y + i), scale));
  if (rest > 0) store(y + whole, mul(load(y + whole, rest), scale), rest);
}

void softmax(size_t rows, size_t n, const float* x, float* y) {
  for (size_t r = 0; r < rows; ++r) softmax_row(n, x + r * n, y + r * n);
}

void layer_norm_row(size_t n, const float* x, const float* gain, const float* bias, float eps,
                    float* y) {
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  F sum = set(0.0F);
  for (size_t i = 0; i < whole; i += kLanes) sum = add(sum, load(x + i));
  if (rest > 0) sum = add(sum, load(x + whole, rest));
  const F mean = set(reduce_add(sum) / static_cast<float>(n));
  F squares = set(0.0F);
  for (size_t i = 0; i < whole; i += kLanes) {
    const F d = sub(load(x + i), mean);
    squares = fma(d, d, squares);
  }
  if (rest > 0) {
    const F d = first(sub(load(x + whole, rest), mean), rest, set(0.0F));
    squares = fma(d, d, squares);
  }
  const F variance = set(reduce_add(squares) / static_cast<float>(n) + eps);
  const F scale = div(set(1.0F), sqrt(variance));
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = n - i < kLanes ? n - i : kLanes;
    const bool full = count == kLanes;
    F v = mul(sub(full ? load(x + i) : load(x + i, count), mean), scale);
    const F g = gain == nullptr ? set(1.0F) : full ? load(gain + i) : load(gain + i, count);
    v = bias == nullptr ? mul(v, g) : fma(v, g, full ? load(bias + i) : load(bias + i, count));
    full ? store(y + i, v) : store(y + i, v, count);
  }
}

void layer_norm(size_t rows, size_t n, const float* x, const float* gain, const float* bias,
                float eps, float* y) {
  for (size_t r = 0; r < rows; ++r) layer_norm_row(n, x + r * n, gain, bias, eps, y + r * n);
}

void rms_norm_row(size_t n, const float* x, const float* gain, float eps, float* y) {
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  F squares = set(0.0F);
  for (size_t i = 0; i < whole; i += kLanes) {
    const F v = load(x + i);
    squares = fma(v, v, squares);
  }
  if (rest > 0) {
    const F v = load(x + whole, rest);
    squares = fma(v, v, squares);
  }
  const F scale = div(set(1.0F), sqrt(set(reduce_add(squares) / static_cast<float>(n) + eps)));
  for (size_t i = 0; i < whole; i += kLanes) {
    const F v = mul(load(x + i), scale);
    store(y + i, gain == nullptr ? v : mul(v, load(gain + i)));
  }
  if (rest > 0) {
    const F v = mul(load(x + whole, rest), scale);
    store(y + whole, gain == nullptr ? v : mul(v, load(gain + whole, rest)), rest);
  }
}

void rms_norm(size_t rows, size_t n, const float* x, const float* gain, float eps, float* y) {
  for (size_t r = 0; r < rows; ++r) rms_norm_row(n, x + r * n, gain, eps, y + r * n);
}

void min_max(size_t n, const float* x, float* low, float* high) {
  F lows = set(*low);
  F highs = set(*high);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F v = load(x + i);
    lows = min(v, lows);
    highs = max(v, highs);
  }
  if (i < n) {
    const F v = load(x + i, n - i);
    lows = min(first(v, n - i, lows), lows);
    highs = max(first(v, n - i, highs), highs);
  }
  *low = reduce_min(lows);
  *high = reduce_max(highs);
}

// x - x is 0, or NaN for what is not finite, and a NaN stays in the sum.
bool all_finite(size_t n, const float* x) {
  F sum = set(0.0F);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F v = load(x + i);
    sum = add(sum, sub(v, v));
  }
  if (i < n) {
    const F v = load(x + i, n - i);
    sum = add(sum, sub(v, v));
  }
  return reduce_add(sum) == 0.0F;
}

void column_absmax(size_t rows, size_t n, const float* x, float* result) {
  for (size_t r = 0; r < rows; ++r, x += n) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      store(result + i, max(abs(load(x + i)), load(result + i)));
    }
    if (i < n) store(result + i, max(abs(load(x + i, n - i)), load(result + i, n - i)), n - i);
  }
}

// Clamping before the zero point is added, in float, equals clamping after it: all are integers far
// below 2^24.
template <class T, int kLow, int kHigh>
void quantize(size_t n, const float* x, float scale, T zero, T* y) {
  const F s = set(scale);
  const F low = set(static_cast<float>(kLow - zero));
  const F high = set(static_cast<float>(kHigh - zero));
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = n - i < kLanes ? n - i : kLanes;
    const F v = div(count == kLanes ? load(x + i) : load(x + i, count), s);
    store_bytes(y + i, min(max(round(v), low), high), zero, count);
  }
}
