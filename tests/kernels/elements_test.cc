// Element-wise kernels: values against their formula, every instruction set against ref.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

constexpr size_t kLengths[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 128};

void expect_same(const Guarded<float>& start,
                 const std::function<void(const Table&, float*)>& run) {
  Guarded<float> want(start.size());
  std::copy_n(start.data(), start.size(), want.data());
  run(kRef, want.data());
  for (const Table* table : test::tables()) {
    Guarded<float> y(start.size());
    std::copy_n(start.data(), start.size(), y.data());
    run(*table, y.data());
    EXPECT_TRUE(test::same_bytes(want, y)) << table->name << " of " << start.size();
  }
}

TEST(RotateHalf, TurnsPairsByTheirAngle) {
  for (const size_t half : {1, 2, 5, 16, 17, 32, 40, 64}) {
    const size_t d = 2 * half;
    Random random(d);
    const auto x = Guarded<float>::of(random.floats(d));
    Guarded<float> cos(d);
    Guarded<float> sin(d);
    std::vector<double> angle(half);
    for (size_t i = 0; i < half; ++i) {
      angle[i] = 3.0 * static_cast<double>(i) + 0.5;
      cos[i] = cos[i + half] = static_cast<float>(std::cos(angle[i]));
      sin[i] = sin[i + half] = static_cast<float>(std::sin(angle[i]));
    }
    Guarded<float> y(d);
    std::copy_n(x.data(), d, y.data());
    kRef.rotate_half_f32(d, y.data(), cos.data(), sin.data());
    for (size_t i = 0; i < half; ++i) {
      const double a = x[i];
      const double b = x[i + half];
      EXPECT_NEAR(y[i], a * std::cos(angle[i]) - b * std::sin(angle[i]), 3e-7);
      EXPECT_NEAR(y[i + half], b * std::cos(angle[i]) + a * std::sin(angle[i]), 3e-7);
    }
    // The two halves of cos and sin need not be equal.
    for (size_t i = 0; i < d; ++i) cos[i] = static_cast<float>(i) * 0.25F - 3;
    for (size_t i = 0; i < d; ++i) sin[i] = 2 - static_cast<float>(i) * 0.5F;
    expect_same(x, [&](const Table& table, float* z) {
      table.rotate_half_f32(d, z, cos.data(), sin.data());
    });
    std::copy_n(x.data(), d, y.data());
    kRef.rotate_half_f32(d, y.data(), cos.data(), sin.data());
    for (size_t i = 0; i < d; ++i) {
      const float turned = i < half ? -x[i + half] : x[i - half];
      EXPECT_EQ(y[i], std::fma(x[i], cos[i], turned * sin[i]));
    }
  }
}

TEST(Add, OntoTheSecond) {
  for (const size_t n : kLengths) {
    Random random(n);
    const auto x = Guarded<float>::of(random.floats(n));
    const auto y = Guarded<float>::of(random.floats(n));
    expect_same(y, [&](const Table& table, float* z) {
      table.add_f32(n, x.data(), z);
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(z[i], x[i] + y[i]);
    });
  }
}

TEST(Widen, EveryBf16) {
  Guarded<uint16_t> x(65536);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint16_t>(i);
  for (const Table* table : test::tables()) {
    Guarded<float> y(x.size());
    table->widen_bf16_f32(x.size(), x.data(), y.data());
    for (uint32_t i = 0; i < x.size(); ++i) {
      ASSERT_TRUE(test::same_bits(y[i], std::bit_cast<float>(i << 16))) << table->name << " " << i;
    }
  }
  for (const size_t n : kLengths) {
    Guarded<uint16_t> some(n);
    for (size_t i = 0; i < n; ++i) some[i] = static_cast<uint16_t>(0x3f80 + i);
    expect_same(Guarded<float>(n),
                [&](const Table& table, float* y) { table.widen_bf16_f32(n, some.data(), y); });
  }
}

TEST(Dequantize, EveryByte) {
  for (const size_t n : {0, 1, 15, 16, 17, 31, 100, 256}) {
    Guarded<int8_t> x(n);
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<int8_t>(static_cast<int>(i) - 128);
    for (const Table* table : test::tables()) {
      Guarded<float> y(n);
      table->dequantize_s8_f32(n, x.data(), 0.3F, y.data());
      for (size_t i = 0; i < n; ++i) ASSERT_EQ(y[i], static_cast<float>(x[i]) * 0.3F);
    }
  }
}

TEST(SumSquares, CloseToDoubleAndSameEverywhere) {
  for (const size_t n : {0, 1, 15, 16, 17, 100, 1024, 3001}) {
    const auto x = Guarded<float>::of(Random(n).floats(n));
    double want = 0;
    for (size_t i = 0; i < n; ++i) want += static_cast<double>(x[i]) * x[i];
    const float ref = kRef.sum_squares_f32(n, x.data());
    EXPECT_NEAR(ref, want, want * 1e-6);
    for (const Table* table : test::tables()) {
      EXPECT_EQ(table->sum_squares_f32(n, x.data()), ref) << table->name << " of " << n;
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
