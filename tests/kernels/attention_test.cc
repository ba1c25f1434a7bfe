// Attention in fixed point and in float: against the formula in double, every instruction set
// against `ref` byte for byte, and what a row may depend on.

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "kernels/attention_head.h"

namespace octavo::kernels {
namespace {

using test::distance;
using test::Guarded;
using test::Head;
using test::Packed16;
using test::PackedF32;
using test::run_f32;
using test::run_s16;
using test::same_bytes;

// Of values in [-1, 1]. Rounding a value costs 1/7700 at most, a probability as much of its block's
// largest, a query or key 1/8190 of the row's largest at d = 128. Sharp: scores up to 50, of which
// an error counts in full (50 * 2^-24 = 3e-6 in float).
constexpr double kHalfValueStep = 1.0 / (2 * 3850);
constexpr double kBoundS16 = 6e-4;
constexpr double kBoundSharpS16 = 4e-3;
constexpr double kBoundF32 = 1e-6;
constexpr double kBoundSharpF32 = 2e-5;

struct Masking {
  bool causal;
  size_t window;
};
constexpr Masking kMaskings[] = {{true, 0},  {false, 0}, {true, 1},
                                 {true, 70}, {false, 1}, {false, 100}};

std::string describe(const Head& h) {
  return "S " + std::to_string(h.tokens) + " d " + std::to_string(h.d) +
         (h.causal ? " causal" : "") + " window " + std::to_string(h.window);
}

TEST(Attention, CloseToDouble) {
  const Table& table = *best();
  for (const size_t d : {5, 8, 24, 32, 64, 80, 128}) {
    for (const size_t tokens : {1, 2, 63, 64, 65, 127, 128, 129, 1000}) {
      for (const Masking& masking : kMaskings) {
        for (const float sharpness : {1.0F, 8.0F}) {
          Head h(tokens, d, sharpness, 3);
          h.causal = masking.causal;
          h.window = masking.window;
          const size_t step = tokens == 1000 ? 13 : 1;
          EXPECT_LE(distance(h, run_s16(h, table), step),
                    sharpness == 1 ? kBoundS16 : kBoundSharpS16)
              << describe(h);
          EXPECT_LE(distance(h, run_f32(h, table), step),
                    sharpness == 1 ? kBoundF32 : kBoundSharpF32)
              << describe(h);
        }
      }
    }
  }
}

TEST(Attention, CloseToDoubleOverALongText) {
  for (const bool causal : {true, false}) {
    Head h(8192, 64);
    h.causal = causal;
    EXPECT_LE(distance(h, run_s16(h, *best()), 301), kBoundS16);
    EXPECT_LE(distance(h, run_f32(h, *best()), 301), kBoundF32);
  }
}

TEST(Attention, EveryIsaGivesTheBytesOfRef) {
  for (const size_t d : {1, 5, 8, 16, 24, 32, 48, 64, 72, 80, 96, 100, 128, 252, 256, 260}) {
    for (const size_t tokens : {1, 2, 7, 17, 33, 48, 63, 64, 65, 100, 128, 129}) {
      const Masking& masking = kMaskings[(d + tokens) % std::size(kMaskings)];
      Head h(tokens, d, 3, d % 3);
      h.causal = masking.causal;
      h.window = masking.window;
      const Packed16 want(h, kRef);
      const auto out = run_s16(h, want, kRef, 0, tokens);
      const auto out_f32 = run_f32(h, kRef);
      for (const Table* table : test::tables()) {
        const Packed16 got(h, *table);
        ASSERT_TRUE(same_bytes(want.q, got.q)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(want.keys, got.keys)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(want.values, got.values)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(want.q_scale, got.q_scale)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(want.key_scale, got.key_scale)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(want.value_scale, got.value_scale)) << table->name << describe(h);
        ASSERT_TRUE(same_bytes(out, run_s16(h, got, *table, 0, tokens)))
            << table->name << describe(h);
        ASSERT_TRUE(same_bytes(out_f32, run_f32(h, *table))) << table->name << describe(h);
      }
    }
  }
}

// Row by row, in twos, in sevens: the bits of all at once.
TEST(Attention, ARowDoesNotDependOnItsNeighbours) {
  size_t turn = 0;
  for (const Masking& masking : kMaskings) {
    Head h(150, turn++ % 2 == 0 ? 40 : 72, 4);
    h.causal = masking.causal;
    h.window = masking.window;
    for (const Table* table : test::tables()) {
      const Packed16 packed(h, *table);
      const PackedF32 packed_f32(h);
      const auto all = run_s16(h, packed, *table, 0, h.tokens);
      const auto all_f32 = run_f32(h, packed_f32, *table, 0, h.tokens);
      for (const size_t rows : {1, 2, 7}) {
        for (size_t from = 0; from < h.tokens; from += rows) {
          const size_t to = std::min(from + rows, h.tokens);
          const auto some = run_s16(h, packed, *table, from, to);
          const auto some_f32 = run_f32(h, packed_f32, *table, from, to);
          const size_t bytes = some.size() * sizeof(float);
          ASSERT_EQ(std::memcmp(all.data() + from * h.ld, some.data(), bytes), 0)
              << table->name << describe(h) << " row " << from;
          ASSERT_EQ(std::memcmp(all_f32.data() + from * h.ld, some_f32.data(), bytes), 0)
              << table->name << describe(h) << " row " << from;
        }
      }
    }
  }
}

// Heads side by side in one row: the bits of a head by itself, also where the kernel copies them.
TEST(Attention, QueriesMayLieApart) {
  for (const size_t d : {5, 32, 72, 128}) {
    Head h(300, d, 3);
    const size_t rows = d < 64 ? 30 : 64;  // as many as tiles want
    const size_t first = h.tokens - rows;
    for (const Table* table : test::tables()) {
      const Packed16 packed(h, *table);
      const size_t ldq = 3 * d + 1;
      Guarded<int16_t> apart((rows - 1) * ldq + d);
      Guarded<float> scale(rows);
      table->quantize_rows_f32_s16(rows, d, h.q.data() + first * d, d, apart.data(), ldq,
                                   scale.data());
      Guarded<float> out(rows * d);
      Guarded<char> scratch(attention_scratch(rows, d));
      table->attention_s16(rows, d, apart.data(), ldq, scale.data(), h.scale, first, true, 0,
                           packed.view, out.data(), d, scratch.data());
      EXPECT_TRUE(same_bytes(run_s16(h, packed, *table, first, h.tokens), out)) << table->name;
    }
  }
}

// Another key and value at t, even an infinite one: rows that do not see t keep their bits.
TEST(Attention, NothingLeaksFromWhatARowDoesNotSee) {
  for (const size_t changed : {1, 40, 63, 64, 100, 129}) {
    for (const float value : {3.0F, 1e6F, std::numeric_limits<float>::infinity(), NAN}) {
      for (const size_t window : {0, 30}) {
        const size_t d = changed == 40 || changed == 100 ? 72 : 24;  // tiles take the wider ones
        Head h(130, d, 3);
        h.window = window;
        for (const Table* table : test::tables()) {
          Head other(130, d, 3);
          other.window = window;
          for (size_t c = 0; c < h.d; c += 2) {
            other.k[changed * h.ld + c] = value;
            other.v[changed * h.ld + c] = value;
          }
          const auto a = run_s16(h, *table);
          const auto b = run_s16(other, *table);
          const auto a_f32 = run_f32(h, *table);
          const auto b_f32 = run_f32(other, *table);
          for (size_t i = 0; i < h.tokens; ++i) {
            bool same = true;
            bool same_f32 = true;
            bool nan = true;
            bool nan_f32 = true;
            for (size_t c = i * h.ld; c < i * h.ld + h.d; ++c) {
              same &= test::same_bits(a[c], b[c]);
              same_f32 &= test::same_bits(a_f32[c], b_f32[c]);
              nan &= std::isnan(b[c]);
              nan_f32 &= std::isnan(b_f32[c]);
            }
            ASSERT_TRUE(same || h.sees(i, changed)) << table->name << " row " << i << " " << value;
            ASSERT_TRUE(same_f32 || h.sees(i, changed)) << table->name << " row " << i;
            ASSERT_TRUE(i != changed || (!same && !same_f32)) << table->name << " row " << i;
            // Never silence.
            ASSERT_EQ(nan, h.sees(i, changed) && !std::isfinite(value)) << table->name;
            ASSERT_EQ(nan_f32, h.sees(i, changed) && !std::isfinite(value)) << table->name;
          }
        }
      }
    }
  }
}

TEST(Attention, ANaNInAQueryIsItsRowAlone) {
  for (const float value : {NAN, -NAN, std::numeric_limits<float>::infinity()}) {
    Head h(70, 33);
    h.causal = false;
    h.q[20 * h.ld + 7] = value;
    for (const Table* table : test::tables()) {
      for (const auto& out : {run_s16(h, *table), run_f32(h, *table)}) {
        for (size_t i = 0; i < out.size(); ++i) {
          ASSERT_EQ(std::isnan(out[i]), i / h.ld == 20) << table->name << " " << i;
        }
      }
    }
  }
}

TEST(Attention, IdenticalHugeLogitsGiveTheMean) {
  for (const float size : {1.0F, 1e4F, 1e15F}) {
    Head h(200, 16);
    h.causal = false;
    h.q.fill(size);
    h.k.fill(size);
    double mean = 0;
    for (size_t j = 0; j < h.tokens; ++j) mean += h.v[j * h.ld];
    mean /= 200;
    for (const Table* table : test::tables()) {
      EXPECT_NEAR(run_s16(h, *table)[0], mean, kHalfValueStep) << table->name;
      EXPECT_NEAR(run_f32(h, *table)[0], mean, 1e-6) << table->name;
    }
  }
}

TEST(Attention, AScoreThatOverflowsIsNotSilent) {
  Head h(70, 16);
  h.causal = false;
  h.q.fill(1e20F);
  h.k.fill(1e20F);
  for (const Table* table : test::tables()) {
    EXPECT_TRUE(std::isnan(run_s16(h, *table)[0])) << table->name;
    EXPECT_TRUE(std::isnan(run_f32(h, *table)[0])) << table->name;
  }
}

// The largest integers everywhere, at head sizes up to 1024: int32 must hold all of them, and the
// mean of equal values is that value.
TEST(Attention, IntegersNeverOverflow) {
  for (const size_t d : {1, 2, 8, 127, 128, 512, 1024}) {
    const auto limit = static_cast<size_t>(query_limit_s16(d));
    EXPECT_LE(d * limit * limit, 0x7fffffffU);
    Head h(64, d);
    h.causal = false;
    h.q.fill(1);
    h.k.fill(-1);
    h.v.fill(-3);
    for (const Table* table : test::tables()) {
      const Packed16 p(h, *table);
      EXPECT_EQ(p.q[0], query_limit_s16(d));
      EXPECT_EQ(p.keys[0], -query_limit_s16(d));
      EXPECT_LE(std::abs(p.values[0]), kValueLimit);
      EXPECT_GE(std::abs(p.values[0]), 3850);
      const auto out = run_s16(h, p, *table, 0, h.tokens);
      for (size_t c = 0; c < d; ++c) {
        EXPECT_NEAR(out[c], -3, 3 * kHalfValueStep) << table->name << " d " << d;
      }
    }
  }
  EXPECT_EQ(query_limit_s16(128), 4095);
  EXPECT_EQ(query_limit_s16(512), 2047);
  EXPECT_LT(int64_t{64} * kProbabilityLimit * kValueLimit, int64_t{1} << 31);
}

TEST(Attention, ZerosAndNothing) {
  for (const Table* table : test::tables()) {
    Head h(70, 12);
    h.v.fill(0);
    const auto zero = run_s16(h, *table);
    for (size_t i = 0; i < zero.size(); ++i) ASSERT_EQ(zero[i], 0) << table->name;
    h.q.fill(0);
    h.k.fill(0);
    h.v.fill(1);
    const auto one = run_s16(h, *table);
    for (size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(one[i], 1, kHalfValueStep) << table->name;
    // A query behind all keys with a window that reaches none of them.
    const Packed16 p(h, *table);
    const PackedF32 p_f32(h);
    Guarded<float> out(h.d);
    Guarded<char> scratch(attention_scratch(1, h.d));
    table->attention_s16(1, h.d, p.q.data(), h.d, p.q_scale.data(), 1, 500, true, 5, p.view,
                         out.data(), h.d, scratch.data());
    for (const float x : out.span()) EXPECT_EQ(x, 0) << table->name;
    out.fill(9);
    table->attention_f32(1, h.d, h.q.data(), h.d, 1, 500, true, 5, p_f32.view, out.data(), h.d,
                         scratch.data());
    for (const float x : out.span()) EXPECT_EQ(x, 0) << table->name;
  }
}

// A first token that takes nearly all of the attention and has nearly no value, as in causal
// models: the others' share must not drown in its probability.
TEST(Attention, AnAttentionSinkCostsNoPrecision) {
  Head h(512, 64);
  for (size_t c = 0; c < h.d; ++c) {
    h.k[c] = 3;
    h.v[c] *= 0.01F;
  }
  for (float& x : h.q.span()) x = std::abs(x) * 0.4F;
  EXPECT_LE(distance(h, run_s16(h, kRef), 7), 1e-4);
}

}  // namespace
}  // namespace octavo::kernels
