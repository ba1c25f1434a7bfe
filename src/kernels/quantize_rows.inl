// Per-row asymmetric u8, over the `F` of <isa>/lanes.inl: one pass for the range, one for the bytes
// (the row is in the first-level cache by then). Included inside the anonymous namespace of each
// ISA, after rows.inl.

// Below this range, 1 / scale comes close to the end of the floats; such a row is all zeros.
constexpr float kLeastRange = 1e-30F;

template <bool kFactor>
inline F scaled(const float* x, const float* factor, size_t i) {
  return kFactor ? mul(load(x + i), load(factor + i)) : load(x + i);
}
template <bool kFactor>
inline F scaled(const float* x, const float* factor, size_t i, size_t n) {
  return kFactor ? mul(load(x + i, n), load(factor + i, n)) : load(x + i, n);
}

// x * 0 is 0, or NaN for what is not finite, and a NaN stays in the sum. The lanes beyond the end
// are zeros, which belong to every range.
struct Range {
  F low, high, finite;
  void take(F v) {
    low = min(v, low);
    high = max(v, high);
    finite = fma(v, set(0.0F), finite);
  }
};

template <bool kFactor>
void quantize_row(size_t n, const float* x, const float* factor, uint8_t* y, float* scale,
                  uint8_t* zero) {
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  // Two at a time, for the latency of the operations; their order does not show in the result.
  Range even{set(0.0F), set(0.0F), set(0.0F)};
  Range odd = even;
  size_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even.take(scaled<kFactor>(x, factor, i));
    odd.take(scaled<kFactor>(x, factor, i + kLanes));
  }
  for (; i < whole; i += kLanes) even.take(scaled<kFactor>(x, factor, i));
  if (rest > 0) odd.take(scaled<kFactor>(x, factor, whole, rest));
  const float low = reduce_min(min(odd.low, even.low));
  const float range = reduce_max(max(odd.high, even.high)) - low;
  const bool finite = reduce_add(add(odd.finite, even.finite)) == 0.0F && range - range == 0.0F;
  if (!finite || range < kLeastRange) {
    *scale = finite ? 0.0F : __builtin_nanf("");
    *zero = 0;
    for (size_t j = 0; j < n; ++j) y[j] = 0;
    return;
  }
  *scale = range / 255.0F;
  const auto offset = static_cast<int>(__builtin_rintf(-low / *scale));
  *zero = static_cast<uint8_t>(offset > 255 ? 255 : offset);
  const F inverse = set(1.0F / *scale);
  for (i = 0; i < whole; i += kLanes) {
    store_clamped(y + i, mul(scaled<kFactor>(x, factor, i), inverse), *zero);
  }
  if (rest > 0) {
    uint8_t last[kLanes];
    store_clamped(last, mul(scaled<kFactor>(x, factor, whole, rest), inverse), *zero);
    for (size_t j = 0; j < rest; ++j) y[whole + j] = last[j];
  }
}

void quantize_rows(size_t rows, size_t n, const float* x, size_t ldx, const float* factor,
                   uint8_t* y, size_t ldy, float* scale, uint8_t* zero) {
  for (size_t r = 0; r < rows; ++r, x += ldx, y += ldy) {
    factor == nullptr ? quantize_row<false>(n, x, factor, y, scale + r, zero + r)
                      : quantize_row<true>(n, x, factor, y, scale + r, zero + r);
  }
}
