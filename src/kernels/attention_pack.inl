// Queries, keys and values as 16-bit integers with a scale a token, over the `F` of
// <isa>/lanes.inl. Included inside the anonymous namespace of each ISA, after rows.inl. Cycles an
// element on Zen 4 at d = 32 / 128: queries 0.84 / 0.64 row by row, MEASURED.

constexpr size_t kRowsPacked = kBlockKeys;

// Sixteen (or the last few) elements.
inline F some(const float* x, size_t n) { return n >= kLanes ? load(x) : load(x, n); }

// The largest magnitudes of up to 64 rows; NaN or infinity where one is in the row, as `larger`
// compares bits. Room for sixteen more.
void row_largest(size_t rows, size_t n, const float* x, size_t ldx, float* largest) {
  alignas(64) float partial[6 * kLanes];
  for (size_t r = 0; r < rows; r += 6) {
    for (size_t i = 0; i < 6; ++i) {
      F top = set(0.0F);
      if (r + i < rows) {
        const float* row = x + (r + i) * ldx;
        for (size_t c = 0; c < n; c += kLanes) top = larger(abs(some(row + c, n - c)), top);
      }
      store(partial + i * kLanes, top);
    }
    store(largest + r, reduce_larger_rows(partial));
  }
}

struct RowScales {
  alignas(64) float scale[kRowsPacked + kLanes];    // NaN when the row is not finite
  alignas(64) float inverse[kRowsPacked + kLanes];  // what the row is multiplied by; 0: all zeros
};

// 0 for a row that is not finite.
inline F only_finite(F largest, F x) { return select_less(largest, set(kInfinity), x, set(0.0F)); }

void linear_scales(size_t rows, size_t n, const float* x, size_t ldx, float limit, RowScales& s) {
  row_largest(rows, n, x, ldx, s.scale);
  const F zero = set(0.0F);
  for (size_t r = 0; r < rows; r += kLanes) {
    const F largest = load(s.scale + r);
    // Below, the inverse would overflow.
    const F tiny = set(1e-30F);
    const F inverse = select_less(largest, tiny, zero, div(set(limit), largest));
    const F scale = select_less(largest, tiny, zero, div(largest, set(limit)));
    store(s.inverse + r, only_finite(largest, inverse));
    // 0 where the row is finite.
    store(s.scale + r, add(scale, sub(largest, largest)));
  }
}

// The bits of a float, read as an integer, are its log2 with the mantissa taken linearly: at most
// 0.0861 too low. Adding that keeps the integers below the limit, log2(4095) = 11.9996.
void log_scales(size_t rows, size_t n, const float* x, size_t ldx, RowScales& s) {
  row_largest(rows, n, x, ldx, s.scale);
  for (size_t r = 0; r < rows; r += kLanes) {
    const F largest = load(s.scale + r);
    const F bits = int_of_bits(largest);
    const F log = fma(bits, set(0x1p-23F), set(-(127.0F + 11.9996F - 0.0862F)));
    const F scale = max(log, set(-40.0F));
    store(s.inverse + r, only_finite(largest, exp2(kExp2, negate(scale))));
    store(s.scale + r, add(scale, sub(largest, largest)));
  }
}

// Zeros for a row of no scale, as 0 * inf is no integer.
inline F quantized(const float* x, size_t n, float inverse) {
  return inverse == 0.0F ? set(0.0F) : mul(some(x, n), set(inverse));
}

void quantize_rows_s16(size_t rows, size_t n, const float* x, size_t ldx, int16_t* y, size_t ldy,
                       float* scale) {
  const auto limit = static_cast<float>(query_limit_s16(n));
  RowScales s;
  for (size_t from = 0; from < rows; from += kRowsPacked) {
    const size_t count = rows - from < kRowsPacked ? rows - from : kRowsPacked;
    linear_scales(count, n, x + from * ldx, ldx, limit, s);
    for (size_t r = 0; r < count; ++r) {
      const float* row = x + (from + r) * ldx;
      int16_t* to = y + (from + r) * ldy;
      scale[from + r] = s.scale[r];
      for (size_t i = 0; i < n; i += kLanes) {
        store_words(to + i, quantized(row + i, n - i, s.inverse[r]),
                    n - i < kLanes ? n - i : kLanes);
      }
    }
  }
}

// Four pairs of words, in the compiler's own notation.
using FourPairs = int32_t __attribute__((vector_size(16)));

inline FourPairs four_pairs(const int16_t* p) {
  FourPairs v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// to[i][j] = from[j][i] of pairs, 4 x 4; strides in words.
inline void transpose_pairs(const int16_t* from, size_t from_stride, int16_t* to,
                            size_t to_stride) {
  const FourPairs r0 = four_pairs(from);
  const FourPairs r1 = four_pairs(from + from_stride);
  const FourPairs r2 = four_pairs(from + 2 * from_stride);
  const FourPairs r3 = four_pairs(from + 3 * from_stride);
  const FourPairs low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const FourPairs low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const FourPairs high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const FourPairs high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  const FourPairs rows[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                             __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                             __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                             __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (size_t i = 0; i < 4; ++i) __builtin_memcpy(to + i * to_stride, &rows[i], sizeof(FourPairs));
}

void pack_key_s16(size_t tokens, size_t d, const float* k, size_t ld, int16_t* packed,
                  float* scale) {
  RowScales s;
  linear_scales(tokens, d, k, ld, static_cast<float>(query_limit_s16(d)), s);
  for (size_t t = 0; t < kBlockKeys; ++t) scale[t] = t < tokens ? s.scale[t] : 0.0F;
  const size_t pairs = (d + 1) / 2;
  alignas(64) int16_t words[kBlockKeys * kLanes];  // sixteen channels of every token
  for (size_t t = tokens; t < kBlockKeys; ++t) store_words(words + t * kLanes, set(0.0F), kLanes);
  for (size_t c = 0; c < d; c += kLanes) {
    for (size_t t = 0; t < tokens; ++t) {
      store_words(words + t * kLanes, quantized(k + t * ld + c, d - c, s.inverse[t]), kLanes);
    }
    const size_t count = pairs - c / 2 < kLanes / 2 ? pairs - c / 2 : kLanes / 2;
    size_t p = 0;
    for (; p + 4 <= count; p += 4) {
      int16_t* to = packed + (c / 2 + p) * (2 * kBlockKeys);
      for (size_t t = 0; t < kBlockKeys; t += 4) {
        transpose_pairs(words + t * kLanes + 2 * p, kLanes, to + 2 * t, 2 * kBlockKeys);
      }
    }
    for (; p < count; ++p) {
      int16_t* to = packed + (c / 2 + p) * (2 * kBlockKeys);
      for (size_t t = 0; t < kBlockKeys; ++t) {
        __builtin_memcpy(to + 2 * t, words + t * kLanes + 2 * p, 4);
      }
    }
  }
}

void pack_value_s16(size_t tokens, size_t d, const float* v, size_t ld, int16_t* packed,
                    float* scale) {
  RowScales s;
  log_scales(tokens, d, v, ld, s);
  for (size_t t = 0; t < kBlockKeys; ++t) scale[t] = t < tokens ? s.scale[t] : 0.0F;
  const F zero = set(0.0F);
  for (size_t i = 0; i < kBlockKeys / 2; ++i) {
    const size_t t = value_pair(i);
    for (size_t c = 0; c < d; c += kLanes, packed += 2 * kLanes) {
      const F a = t < tokens ? quantized(v + t * ld + c, d - c, s.inverse[t]) : zero;
      const F b = t + 1 < tokens ? quantized(v + (t + 1) * ld + c, d - c, s.inverse[t + 1]) : zero;
      store_alternating(packed, a, b);
    }
  }
}
