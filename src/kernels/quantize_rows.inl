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

// The range of a row of x * factor, widened to hold 0. False when a number of it, or the range, is
// none that is finite.
template <bool kFactor>
inline bool row_range(size_t n, const float* x, const float* factor, float* low, float* range) {
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
  *low = reduce_min(min(odd.low, even.low));
  *range = reduce_max(max(odd.high, even.high)) - *low;
  return reduce_add(add(odd.finite, even.finite)) == 0.0F && *range - *range == 0.0F;
}

// round_half_even(-low / scale), no more than `top`.
inline int row_zero(float low, float scale, int top) {
  const auto offset = static_cast<int>(__builtin_rintf(-low / scale));
  return offset > top ? top : offset;
}

template <bool kFactor>
void quantize_row(size_t n, const float* x, const float* factor, uint8_t* y, float* scale,
                  uint8_t* zero) {
  float low;
  float range;
  const bool finite = row_range<kFactor>(n, x, factor, &low, &range);
  if (!finite || range < kLeastRange) {
    *scale = finite ? 0.0F : __builtin_nanf("");
    *zero = 0;
    for (size_t j = 0; j < n; ++j) y[j] = 0;
    return;
  }
  *scale = range / 255.0F;
  *zero = static_cast<uint8_t>(row_zero(low, *scale, 255));
  const F inverse = set(1.0F / *scale);
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  for (size_t i = 0; i < whole; i += kLanes) {
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

// 16 bits as two bytes. floor(v / 256) = round((2 v - 255) / 512): all exact below 2^17, and never
// half way.
inline void store_two_bytes(uint8_t* high, uint8_t* low, F scaled_x, float zero) {
  const F v = min(max(add(round(scaled_x), set(zero)), set(0.0F)), set(65535.0F));
  const F top = round(fma(v, set(1.0F / 256), set(-255.0F / 512)));
  store_clamped(high, top, 0);
  store_clamped(low, fma(top, set(-256.0F), v), 0);
}

template <bool kFactor>
void quantize_row_u16(size_t n, const float* x, const float* factor, uint8_t* y, size_t ldy,
                      float* scale, uint8_t* zero) {
  float low;
  float range;
  const bool finite = row_range<kFactor>(n, x, factor, &low, &range);
  zero[0] = 0;
  zero[1] = 0;
  if (!finite || range < kLeastRange) {
    *scale = finite ? 0.0F : __builtin_nanf("");
    for (size_t j = 0; j < n; ++j) {
      y[j] = 0;
      y[ldy + j] = 0;
    }
    return;
  }
  *scale = range / 65535.0F;
  const int offset = row_zero(low, *scale, 65535);
  zero[0] = static_cast<uint8_t>(offset / 256);
  zero[1] = static_cast<uint8_t>(offset % 256);
  const F inverse = set(1.0F / *scale);
  const size_t whole = n / kLanes * kLanes;
  const size_t rest = n - whole;
  const auto shift = static_cast<float>(offset);
  for (size_t i = 0; i < whole; i += kLanes) {
    store_two_bytes(y + i, y + ldy + i, mul(scaled<kFactor>(x, factor, i), inverse), shift);
  }
  if (rest > 0) {
    uint8_t last[2][kLanes];
    store_two_bytes(last[0], last[1], mul(scaled<kFactor>(x, factor, whole, rest), inverse), shift);
    for (size_t j = 0; j < rest; ++j) {
      y[whole + j] = last[0][j];
      y[ldy + whole + j] = last[1][j];
    }
  }
}

void quantize_rows_u16(size_t rows, size_t n, const float* x, size_t ldx, const float* factor,
                       uint8_t* y, size_t ldy, float* scale, uint8_t* zero) {
  for (size_t r = 0; r < rows; ++r, x += ldx, y += 2 * ldy, zero += 2) {
    factor == nullptr ? quantize_row_u16<false>(n, x, factor, y, ldy, scale + r, zero)
                      : quantize_row_u16<true>(n, x, factor, y, ldy, scale + r, zero);
  }
}
