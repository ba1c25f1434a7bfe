// Queries, keys and values as 16-bit integers with a scale a token, over the `F` of
// <isa>/lanes.inl. Included inside the anonymous namespace of each ISA, after rows.inl.

// The largest magnitude, or NaN when not all are finite: 0 * x is NaN for what is not and stays in
// the sum, while the maximum would drop a NaN.
float row_largest(size_t n, const float* x) {
  F top = set(0.0F);
  F finite = set(0.0F);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F v = load(x + i);
    top = max(abs(v), top);
    finite = fma(v, set(0.0F), finite);
  }
  if (i < n) {
    const F v = load(x + i, n - i);
    top = max(abs(v), top);
    finite = fma(v, set(0.0F), finite);
  }
  return reduce_max(top) + reduce_add(finite);
}

struct RowScale {
  float scale;    // NaN when the row is not finite
  float inverse;  // what the row is multiplied by; 0: its integers are zeros
};

RowScale linear_scale(float largest, float limit) {
  // Below, the inverse would overflow.
  if (largest < 1e-30F) return {0.0F, 0.0F};
  if (largest != largest) return {largest, 0.0F};
  return {largest / limit, limit / largest};
}

// The bits of a float, read as an integer, are its log2 with the mantissa taken linearly: at most
// 0.0861 too low. Adding that keeps the integers below the limit, log2(4095) = 11.9996.
RowScale log_scale(float largest) {
  if (largest != largest) return {largest, 0.0F};
  const auto bits = static_cast<float>(__builtin_bit_cast(int32_t, largest));
  const float log = bits * 0x1p-23F - (127.0F + 11.9996F - 0.0862F);
  const float scale = log < -40.0F ? -40.0F : log;
  return {scale, reduce_max(exp2(kExp2, set(-scale)))};
}

// Sixteen (or the last few) elements as integers; zeros for a row of no scale, as 0 * inf is no
// integer.
inline F quantized(const float* x, size_t n, float inverse) {
  if (inverse == 0.0F) return set(0.0F);
  return mul(n >= kLanes ? load(x) : load(x, n), set(inverse));
}

void quantize_rows_s16(size_t rows, size_t n, const float* x, size_t ldx, int16_t* y, size_t ldy,
                       float* scale) {
  const auto limit = static_cast<float>(query_limit_s16(n));
  for (size_t r = 0; r < rows; ++r, x += ldx, y += ldy) {
    const RowScale row = linear_scale(row_largest(n, x), limit);
    scale[r] = row.scale;
    for (size_t i = 0; i < n; i += kLanes) {
      store_words(y + i, quantized(x + i, n - i, row.inverse), n - i < kLanes ? n - i : kLanes);
    }
  }
}

void pack_key_s16(size_t tokens, size_t d, const float* k, size_t ld, int16_t* packed,
                  float* scale) {
  const auto limit = static_cast<float>(query_limit_s16(d));
  const size_t pairs = (d + 1) / 2;
  for (size_t t = 0; t < kBlockKeys; ++t) {
    const RowScale row =
        t < tokens ? linear_scale(row_largest(d, k + t * ld), limit) : RowScale{0.0F, 0.0F};
    scale[t] = row.scale;
    for (size_t c = 0; c < d; c += kLanes) {
      alignas(64) int16_t words[kLanes];
      store_words(words, t < tokens ? quantized(k + t * ld + c, d - c, row.inverse) : set(0.0F),
                  kLanes);
      const size_t count = pairs - c / 2 < kLanes / 2 ? pairs - c / 2 : kLanes / 2;
      for (size_t p = 0; p < count; ++p) {
        __builtin_memcpy(packed + ((c / 2 + p) * kBlockKeys + t) * 2, words + 2 * p, 4);
      }
    }
  }
}

void pack_value_s16(size_t tokens, size_t d, const float* v, size_t ld, int16_t* packed,
                    float* scale) {
  float inverse[kBlockKeys];
  for (size_t t = 0; t < kBlockKeys; ++t) {
    const RowScale row = t < tokens ? log_scale(row_largest(d, v + t * ld)) : RowScale{0.0F, 0.0F};
    scale[t] = row.scale;
    inverse[t] = row.inverse;
  }
  for (size_t i = 0; i < kBlockKeys / 2; ++i) {
    const size_t t = value_pair(i);
    for (size_t c = 0; c < d; c += kLanes, packed += 2 * kLanes) {
      const F zero = set(0.0F);
      const F a = t < tokens ? quantized(v + t * ld + c, d - c, inverse[t]) : zero;
      const F b = t + 1 < tokens ? quantized(v + (t + 1) * ld + c, d - c, inverse[t + 1]) : zero;
      store_alternating(packed, a, b);
    }
  }
}
