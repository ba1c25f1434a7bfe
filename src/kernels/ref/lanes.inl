// Sixteen floats and the operations on them, in plain C++: the meaning of every lanes.inl. Included
// inside the anonymous namespace of ref/table.cc.

constexpr size_t kLanes = 16;

struct F {
  float v[kLanes];
};

template <class Function>
inline F each(Function function) {
  F r;
  for (size_t i = 0; i < kLanes; ++i) r.v[i] = function(i);
  return r;
}

inline F set(float x) {
  return each([=](size_t) { return x; });
}
inline F load(const float* p) {
  return each([=](size_t i) { return p[i]; });
}
// The first n, then +0; nothing beyond them is read.
inline F load(const float* p, size_t n) {
  return each([=](size_t i) { return i < n ? p[i] : 0.0F; });
}
inline void store(float* p, F a) {
  for (size_t i = 0; i < kLanes; ++i) p[i] = a.v[i];
}
inline void store(float* p, F a, size_t n) {
  for (size_t i = 0; i < n; ++i) p[i] = a.v[i];
}
// Lanes below n from a, the others from b.
inline F first(F a, size_t n, F b) {
  return each([&](size_t i) { return i < n ? a.v[i] : b.v[i]; });
}

inline F add(F a, F b) {
  return each([&](size_t i) { return a.v[i] + b.v[i]; });
}
inline F sub(F a, F b) {
  return each([&](size_t i) { return a.v[i] - b.v[i]; });
}
inline F mul(F a, F b) {
  return each([&](size_t i) { return a.v[i] * b.v[i]; });
}
inline F div(F a, F b) {
  return each([&](size_t i) { return a.v[i] / b.v[i]; });
}
inline F fma(F a, F b, F c) {
  return each([&](size_t i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline F sqrt(F a) {
  return each([&](size_t i) { return __builtin_sqrtf(a.v[i]); });
}
inline F min(F a, F b) {
  return each([&](size_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F max(F a, F b) {
  return each([&](size_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F abs(F a) {
  return each([&](size_t i) { return __builtin_fabsf(a.v[i]); });
}
inline F negate(F a) {
  return each([&](size_t i) { return -a.v[i]; });
}
inline F copysign(F magnitude, F sign) {
  return each([&](size_t i) { return __builtin_copysignf(magnitude.v[i], sign.v[i]); });
}
// To the nearest integer, halves to the even one.
inline F round(F a) {
  return each([&](size_t i) { return __builtin_rintf(a.v[i]); });
}
// a < b ? x : y
inline F select_less(F a, F b, F x, F y) {
  return each([&](size_t i) { return a.v[i] < b.v[i] ? x.v[i] : y.v[i]; });
}

inline float power_of_two(int n) { return __builtin_bit_cast(float, (n + 127) << 23); }

// a * 2^n for an integral n in [-252, 254], rounded once: both factors are powers of two, and only
// the second product can be inexact. A NaN n comes with a NaN a and is replaced by 0.
inline F ldexp(F a, F n) {
  return each([&](size_t i) {
    const int whole = n.v[i] == n.v[i] ? static_cast<int>(n.v[i]) : 0;
    const int half = whole >> 1;
    return a.v[i] * power_of_two(half) * power_of_two(whole - half);
  });
}

template <F (*combine)(F, F)>
inline float reduce(F a) {
  for (size_t step = kLanes / 2; step > 0; step /= 2) {
    const F other = each([&](size_t i) { return a.v[(i + step) % kLanes]; });
    a = combine(a, other);
  }
  return a.v[0];
}
inline float reduce_add(F a) { return reduce<add>(a); }
inline float reduce_min(F a) { return reduce<min>(a); }
inline float reduce_max(F a) { return reduce<max>(a); }

// The first n integral lanes plus zero, as bytes. The sum is in range.
template <class T>
inline void store_bytes(T* p, F a, int zero, size_t n) {
  for (size_t i = 0; i < n; ++i) p[i] = static_cast<T>(static_cast<int>(a.v[i]) + zero);
}

// round_half_even(a) + zero, clamped to a byte. a is a number of at most seven digits.
inline void store_clamped(uint8_t* p, F a, int zero) {
  for (size_t i = 0; i < kLanes; ++i) {
    const int whole = static_cast<int>(__builtin_rintf(a.v[i])) + zero;
    p[i] = static_cast<uint8_t>(whole < 0 ? 0 : whole > 255 ? 255 : whole);
  }
}

inline F load_s32(const int32_t* p) {
  return each([=](size_t i) { return static_cast<float>(p[i]); });
}
inline F load_s8(const int8_t* p) {
  return each([=](size_t i) { return static_cast<float>(p[i]); });
}
// A bf16 is the upper half of a float.
inline F load_bf16(const uint16_t* p) {
  return each(
      [=](size_t i) { return __builtin_bit_cast(float, static_cast<uint32_t>(p[i]) << 16); });
}

// a times 2^n, n the integer in the low bits of `bits`, both a and the result normal.
inline F add_exponent(F a, F bits) {
  return each([&](size_t i) {
    return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, a.v[i]) +
                                         (__builtin_bit_cast(uint32_t, bits.v[i]) << 23));
  });
}

inline F load_int(const int32_t* p) {
  return each([=](size_t i) { return static_cast<float>(p[i]); });
}
inline int16_t word(float a) { return static_cast<int16_t>(a == a ? __builtin_rintf(a) : 0.0F); }
// Rounded to the nearest, halves to even; all in range (or NaN, whose words nobody needs).
inline void store_words(int16_t* p, F a, size_t n) {
  for (size_t i = 0; i < n; ++i) p[i] = word(a.v[i]);
}
// a0 b0 a1 b1 ...
inline void store_alternating(int16_t* p, F a, F b) {
  for (size_t i = 0; i < kLanes; ++i) {
    p[2 * i] = word(a.v[i]);
    p[2 * i + 1] = word(b.v[i]);
  }
}
// a0..a3 b0..b3 a4..a7 b4..b7 ...
inline void store_by_fours(int16_t* p, F a, F b) {
  for (size_t i = 0; i < kLanes; ++i) {
    p[i / 4 * 8 + i % 4] = word(a.v[i]);
    p[i / 4 * 8 + 4 + i % 4] = word(b.v[i]);
  }
}

// x for low <= x <= 0, low for what is less; low < 0. A NaN of negative sign gives low too.
inline F at_least(F x, float low) { return max(x, set(low)); }

// Lane r is the reduction of sixteen floats at p + 16 r, for six rows; the other lanes are
// anything.
template <float (*reduction)(F)>
inline F reduce_rows(const float* p) {
  return each([&](size_t r) { return r < 6 ? reduction(load(p + r * kLanes)) : 0.0F; });
}
inline F reduce_add_rows(const float* p) { return reduce_rows<reduce_add>(p); }
inline F reduce_max_rows(const float* p) { return reduce_rows<reduce_max>(p); }

// The larger by its bits, of numbers that are not negative: NaN is above infinity.
inline F larger(F a, F b) {
  return each([&](size_t i) {
    return __builtin_bit_cast(int32_t, a.v[i]) > __builtin_bit_cast(int32_t, b.v[i]) ? a.v[i]
                                                                                     : b.v[i];
  });
}
inline float reduce_larger(F a) { return reduce<larger>(a); }
inline F reduce_larger_rows(const float* p) { return reduce_rows<reduce_larger>(p); }
// The bits as an integer, rounded to a float.
inline F int_of_bits(F a) {
  return each([&](size_t i) { return static_cast<float>(__builtin_bit_cast(int32_t, a.v[i])); });
}

// Integral lanes of 0 to 7 (0 of a NaN), to choose from eight numbers with.
struct Index {
  uint8_t v[kLanes];
};
inline Index index(F a) {
  Index r;
  for (size_t i = 0; i < kLanes; ++i) {
    r.v[i] = a.v[i] == a.v[i] ? static_cast<uint8_t>(a.v[i]) : uint8_t{0};
  }
  return r;
}
inline F lookup(const float* eight, Index which) {
  return each([&](size_t i) { return eight[which.v[i]]; });
}
