// exp, erf, tanh, sigmoid and what is made of them, over the sixteen lanes `F` that the including
// file defines (<isa>/lanes.inl). Included inside the anonymous namespace of each ISA: one source,
// hence the same bytes. Coefficients by tools/make_polynomials.py; the measured error of each
// function over all floats is asserted in tests/kernels/unary_test.cc.

// exp(r) = 1 + r + r^2 P(r), |r| <= ln2 / 2; fit error 3.2e-09 relative.
constexpr float kExp[] = {0x1.fffffcp-2F, 0x1.555492p-3F, 0x1.5558bep-5F, 0x1.1239e0p-7F,
                          0x1.6a3fb8p-10F};
// erf(x) = x + x P(x^2), |x| <= 1; fit error 1.4e-09 relative.
constexpr float kErfSmall[] = {0x1.06eba8p-3F, -0x1.81273ep-2F,  0x1.ce2ce6p-4F, -0x1.b7f71ap-6F,
                               0x1.53f224p-8F, -0x1.a3515ep-11F, 0x1.4771fep-14F};
// erf(x) = 1 - exp(P(x)), 1 <= x <= 4; fit error 1.0e-09 absolute.
constexpr float kErfLarge[] = {-0x1.72e6cep-12F, -0x1.2085b2p+0F, -0x1.46c584p-1F, -0x1.a60a90p-4F,
                               0x1.654268p-6F,   -0x1.814df4p-9F, 0x1.853062p-13F};
// tanh(x) = x + x^3 P(x^2), |x| <= 0.63; fit error 2.1e-10 relative.
constexpr float kTanhSmall[] = {-0x1.555554p-2F, 0x1.111074p-3F,  -0x1.b9efa8p-5F,
                                0x1.638bb0p-6F,  -0x1.0bcdbcp-7F, 0x1.17e11cp-9F};

// 2^r = P(r), |r| <= 1/2; fit error 3.0e-09 relative.
constexpr float kExp2[] = {1.0F,           0x1.62e430p-1F,  0x1.ebfbdcp-3F, 0x1.c6af7cp-5F,
                           0x1.3b2de0p-7F, 0x1.5f082ep-10F, 0x1.416b52p-13F};
// 8192 * 2^r likewise, fit error 2.8e-06: a fortieth of a step of the probabilities, which are
// rounded to integers.
constexpr float kExp2Probability[] = {0x1p+13F, 0x1.62e12cp+12F, 0x1.ec036ep+10F, 0x1.c9fc74p+8F,
                                      0x1.3a057cp+6F};

template <size_t N>
inline F polynomial(const float (&c)[N], F x) {
  F p = set(c[N - 1]);
#pragma GCC unroll 16
  for (size_t i = N - 1; i > 0; --i) p = fma(p, x, set(c[i - 1]));
  return p;
}

// Below -104 the result is under half of the smallest denormal, above 89 it is infinite: clamping
// there keeps the exponent arithmetic in range. min and max keep a NaN, which comes second.
inline F exp(F x) {
  x = min(set(89.0F), max(set(-104.0F), x));
  const F n = round(mul(x, set(0x1.715476p+0F)));  // x / ln2
  // ln2 in two pieces, the first with 9 low zero bits so that n times it is exact.
  F r = fma(n, set(-0x1.62e400p-1F), x);
  r = fma(n, set(-0x1.7f7d1cp-20F), r);
  const F p = fma(polynomial(kExp, r), mul(r, r), r);
  return ldexp(add(p, set(1.0F)), n);
}

// 2^x times c[0] for -120 <= x <= 110, exactly c[0] at 0. Adding 1.5 * 2^23 rounds to an integer
// and leaves it in the low bits, from where it goes into the exponent.
template <size_t N>
inline F exp2(const float (&c)[N], F x) {
  const F magic = set(0x1.8p23F);
  const F n = add(x, magic);
  const F r = sub(x, sub(n, magic));
  return add_exponent(polynomial(c, r), n);
}

inline F erf(F x) {
  const F t = abs(x);
  const F small = fma(polynomial(kErfSmall, mul(x, x)), x, x);
  const F large = sub(set(1.0F), exp(polynomial(kErfLarge, min(set(4.0F), t))));
  return select_less(t, set(1.0F), small, copysign(large, x));
}

inline F tanh(F x) {
  const F t = abs(x);
  const F square = mul(x, x);
  const F small = fma(mul(polynomial(kTanhSmall, square), square), x, x);
  // 1 - 2 / (exp(2t) + 1); from 10 on it rounds to 1, and exp stays finite.
  const F e = exp(min(set(20.0F), add(t, t)));
  const F large = sub(set(1.0F), div(set(2.0F), add(e, set(1.0F))));
  return select_less(t, set(0.625F), small, copysign(large, x));
}

// With e = exp(-|x|), never above 1: 1 / (1 + e), or e / (1 + e) for negative x, which keeps the
// denormal results down to -104.
inline F sigmoid(F x) {
  const F e = exp(negate(abs(x)));
  const F top = select_less(x, set(0.0F), e, set(1.0F));
  return div(top, add(e, set(1.0F)));
}

inline F gelu(F x) {
  const F half = mul(set(0.5F), x);
  return fma(half, erf(mul(x, set(0x1.6a09e6p-1F))), half);
}

// The argument's x^3 may overflow to infinity; tanh of it is 1, and 0 * -inf never appears.
inline F gelu_tanh(F x) {
  const F half = mul(set(0.5F), x);
  const F inner = mul(set(0x1.988454p-1F), fma(mul(set(0.044715F), mul(x, x)), x, x));
  return fma(half, tanh(inner), half);
}

inline F silu(F x) { return mul(x, sigmoid(x)); }
