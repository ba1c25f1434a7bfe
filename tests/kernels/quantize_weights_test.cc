// Against the definition in plain scalar code: nearbyint of an IEEE division, clamped.

#include "kernels/quantize_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

constexpr size_t kSizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 100};

TEST(QuantizeWeights, RangesOfColumns) {
  for (const size_t rows : {size_t{0}, size_t{1}, size_t{7}}) {
    for (const size_t n : kSizes) {
      Random random(rows * 1000 + n);
      Guarded<float> w(rows * n);
      for (float& x : w.span()) x = random.uniform(-3, 3);
      Guarded<float> low(n);
      Guarded<float> high(n);
      low.fill(0.0F);
      high.fill(0.0F);
      EXPECT_TRUE(column_range_f32(rows, n, w.data(), low.data(), high.data()));
      for (size_t c = 0; c < n; ++c) {
        float l = 0;
        float h = 0;
        for (size_t r = 0; r < rows; ++r) {
          l = std::min(l, w.data()[r * n + c]);
          h = std::max(h, w.data()[r * n + c]);
        }
        EXPECT_EQ(low.data()[c], l);
        EXPECT_EQ(high.data()[c], h);
      }
    }
  }
}

TEST(QuantizeWeights, SaysWhenAnElementIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::quiet_NaN()}) {
    for (const size_t n : {size_t{16}, size_t{19}}) {
      for (size_t at = 0; at < 2 * n; ++at) {
        std::vector<float> w(2 * n, -1.0F);
        w[at] = bad;
        std::vector<float> low(n), high(n);
        EXPECT_FALSE(column_range_f32(2, n, w.data(), low.data(), high.data())) << bad << at;
      }
    }
  }
}

template <class T>
void check_rounding(void (*kernel)(size_t, size_t, const float*, const float*, const float*, T*)) {
  for (const size_t n : kSizes) {
    const size_t rows = 5;
    Random random(n);
    Guarded<float> w(rows * n);
    Guarded<float> scale(n);
    Guarded<float> zero(n);
    Guarded<T> q(rows * n);
    for (size_t c = 0; c < n; ++c) {
      scale.data()[c] = random.uniform(0.01F, 0.02F);
      zero.data()[c] = std::is_signed_v<T> ? 0.0F : std::nearbyint(random.uniform(0, 255));
    }
    // Far enough to be clamped on either side.
    for (float& x : w.span()) x = random.uniform(-5, 5);
    // Exact ties: (k + 1/2) * scale with a scale that is a power of two.
    scale.data()[0] = 0.25F;
    for (size_t r = 0; r < rows; ++r) w.data()[r * n] = 0.25F * (static_cast<float>(r) - 2.5F);
    kernel(rows, n, w.data(), scale.data(), zero.data(), q.data());
    for (size_t i = 0; i < rows * n; ++i) {
      const float exact = std::nearbyint(w.data()[i] / scale.data()[i % n]) + zero.data()[i % n];
      const float low = std::numeric_limits<T>::min();
      const float high = std::numeric_limits<T>::max();
      EXPECT_EQ(static_cast<float>(q.data()[i]), std::clamp(exact, low, high)) << i;
    }
  }
}

TEST(QuantizeWeights, RoundsHalfToEvenAndClamps) {
  check_rounding<int8_t>(quantize_columns_f32_s8);
  check_rounding<uint8_t>(quantize_columns_f32_u8);
}

TEST(QuantizeWeights, TransposesEveryElementSizeInAnySplit) {
  const size_t rows = 37;
  const size_t n = 70;
  const auto check = [&]<class T>(T) {
    std::vector<T> from(rows * n);
    std::iota(from.begin(), from.end(), T{1});
    std::vector<T> to(rows * n);
    transpose(rows, n, 0, 33, sizeof(T), from.data(), to.data());
    transpose(rows, n, 33, n, sizeof(T), from.data(), to.data());
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < n; ++c) EXPECT_EQ(to[c * rows + r], from[r * n + c]);
    }
  };
  check(uint8_t{});
  check(uint16_t{});
  check(uint32_t{});
  check(uint64_t{});
}

}  // namespace
}  // namespace octavo::kernels
