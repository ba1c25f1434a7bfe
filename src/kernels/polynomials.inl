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

// The lower tail of a GELU's factor, in eight pieces: a row for each power of r = t - 0.75 i, a
// column for each i. Of the normal distribution, erfc(t / sqrt 2) / 2; fit error 4.2e-09 absolute,
// 1.2e-05 relative.
alignas(32) constexpr float kGelu[8][8] = {
    {0x1.000000p-1F, 0x1.d02200p-3F, 0x1.11a46ep-4F, 0x1.90924ep-7F, 0x1.61de20p-10F,
     0x1.72d956p-14F, 0x1.c80732p-19F, 0x1.46a168p-24F},
    {-0x1.988454p-2F, -0x1.345d5ep-2F, -0x1.094086p-3F, -0x1.0402e0p-5F, -0x1.22720ap-8F,
     -0x1.71b930p-12F, -0x1.0c2a7cp-16F, -0x1.bb4feep-22F},
    {0x1.37b60cp-21F, 0x1.ce8c3ap-4F, 0x1.8de0a6p-4F, 0x1.24836cp-5F, 0x1.b3aad4p-8F,
     0x1.5a9d96p-11F, 0x1.2db02cp-15F, 0x1.22f00cp-20F},
    {0x1.104dbcp-4F, 0x1.67bea8p-6F, -0x1.ba1408p-6F, -0x1.6019b2p-6F, -0x1.834534p-8F,
     -0x1.927532p-11F, -0x1.ae1126p-15F, -0x1.ea4532p-20F},
    {0x1.4f64e8p-14F, -0x1.77cea2p-6F, -0x1.8ddda4p-8F, 0x1.920f38p-8F, 0x1.b3c6c4p-9F,
     0x1.3f8a66p-11F, 0x1.b14aaap-15F, 0x1.28d968p-19F},
    {-0x1.518f66p-7F, 0x1.4deaacp-13F, 0x1.7ff80ep-8F, 0x1.e7980ap-12F, -0x1.21e508p-10F,
     -0x1.66a970p-12F, -0x1.4776a2p-15F, -0x1.165526p-19F},
    {0x1.632704p-11F, 0x1.879636p-9F, -0x1.4a285ap-11F, -0x1.ff4530p-11F, 0x1.a29a78p-14F,
     0x1.15a1bcp-13F, 0x1.80eae2p-16F, 0x1.adfcf4p-20F},
    {0x1.40d5c6p-11F, -0x1.938c5ap-12F, -0x1.0a0d52p-11F, 0x1.fae1b6p-13F, 0x1.416feap-14F,
     -0x1.ebf28ep-16F, -0x1.2a73acp-17F, -0x1.bcc13ap-21F}};
// Of the logistic one, 1 / (1 + exp(2 sqrt(2 / pi) (t + 0.044715 t^3))); fit error 2.6e-09
// absolute, 1.1e-04 relative.
alignas(32) constexpr float kGeluTanh[8][8] = {
    {0x1.000000p-1F, 0x1.d05230p-3F, 0x1.123c8ep-4F, 0x1.8c25e8p-7F, 0x1.3dd716p-10F,
     0x1.ea7568p-15F, 0x1.326b86p-20F, 0x1.0316b6p-27F},
    {-0x1.988454p-2F, -0x1.341904p-2F, -0x1.09c7acp-3F, -0x1.06289ap-5F, -0x1.178beap-8F,
     -0x1.1a5e32p-12F, -0x1.c6530ap-18F, -0x1.e5a68ap-25F},
    {0x1.37ec6ap-21F, 0x1.ceb316p-4F, 0x1.8c0aaap-4F, 0x1.279b74p-5F, 0x1.b82b3cp-8F,
     0x1.2c8196p-11F, 0x1.3e563ep-16F, 0x1.b4ac26p-23F},
    {0x1.11a6ccp-4F, 0x1.61338ep-6F, -0x1.b5dacep-6F, -0x1.5df8f0p-6F, -0x1.906fa6p-8F,
     -0x1.83ea7cp-11F, -0x1.16b6eep-15F, -0x1.f2f790p-22F},
    {0x1.508fdcp-14F, -0x1.7a817cp-6F, -0x1.7872c2p-8F, 0x1.7f8d10p-8F, 0x1.bd9b88p-9F,
     0x1.4d736ap-11F, 0x1.538d88p-15F, 0x1.976424p-21F},
    {-0x1.591616p-7F, 0x1.8d2fbep-12F, 0x1.76ffd4p-8F, 0x1.f7353ap-12F, -0x1.1430bap-10F,
     -0x1.862462p-12F, -0x1.31028cp-15F, -0x1.042998p-20F},
    {0x1.65a474p-11F, 0x1.8f4230p-9F, -0x1.7c4020p-11F, -0x1.cf408cp-11F, 0x1.cc7b04p-15F,
     0x1.261954p-13F, 0x1.9c278ep-16F, 0x1.0abe38p-20F},
    {0x1.5b30e8p-11F, -0x1.b8bb44p-12F, -0x1.0ce028p-11F, 0x1.c7a556p-13F, 0x1.4e86e6p-14F,
     -0x1.b69acap-16F, -0x1.55ed70p-17F, -0x1.423db6p-21F}};

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

// x less what the tail takes away: max(x, 0) - t tail(t) with t = |x|. By pieces, because erf or
// tanh cost three times as much (both sides of a branch, an exp), which showed in a feed-forward
// layer of 384 inputs; and nothing cancels for negative x. Beyond 5.6, where t tail(t) is below
// 1e-7, it stays what it is there. min and max keep a NaN, which comes second.
inline F gelu_by(const float (&pieces)[8][8], F x) {
  const F t = min(set(5.6F), abs(x));
  const F piece = round(mul(t, set(0x1.555556p+0F)));  // t / 0.75
  const F r = fma(piece, set(-0.75F), t);
  const Index i = index(piece);
  F tail = lookup(pieces[7], i);
#pragma GCC unroll 8
  for (size_t j = 7; j > 0; --j) tail = fma(tail, r, lookup(pieces[j - 1], i));
  return fma(negate(t), tail, max(set(0.0F), x));
}
inline F gelu(F x) { return gelu_by(kGelu, x); }
inline F gelu_tanh(F x) { return gelu_by(kGeluTanh, x); }

inline F silu(F x) { return mul(x, sigmoid(x)); }
