// Per-row quantization: against the formula, its bounds in double, and the rows that have no range.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Quantized {
  Guarded<uint8_t> y, zero;
  Guarded<float> scale;
  Quantized(size_t rows, size_t n, size_t ldy) : y((rows - 1) * ldy + n), zero(rows), scale(rows) {
    y.fill(77);
    zero.fill(77);
    scale.fill(-777);
  }
};

Quantized run(const Table& table, size_t rows, size_t n, const Guarded<float>& x, size_t ldx,
              const float* factor, size_t ldy) {
  Quantized q(rows, n, ldy);
  table.quantize_rows_f32_u8(rows, n, x.data(), ldx, factor, q.y.data(), ldy, q.scale.data(),
                             q.zero.data());
  return q;
}

void expect_same_everywhere(size_t rows, size_t n, const Guarded<float>& x, size_t ldx,
                            const float* factor, size_t ldy) {
  const auto want = run(kRef, rows, n, x, ldx, factor, ldy);
  for (const Table* table : test::tables()) {
    const auto q = run(*table, rows, n, x, ldx, factor, ldy);
    ASSERT_TRUE(test::same_bytes(want.y, q.y)) << table->name << " n " << n;
    ASSERT_TRUE(test::same_bytes(want.zero, q.zero)) << table->name << " n " << n;
    ASSERT_TRUE(test::same_bytes(want.scale, q.scale)) << table->name << " n " << n;
  }
}

TEST(QuantizeRows, FollowsTheFormula) {
  for (const size_t n : {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 64, 100, 1000, 3072}) {
    for (const bool with_factor : {false, true}) {
      constexpr size_t kRows = 5;
      const size_t ldx = n + 3;
      const size_t ldy = n + 1;
      Random random(n);
      Guarded<float> x((kRows - 1) * ldx + n);
      Guarded<float> factor(n);
      for (size_t r = 0; r < kRows; ++r) {  // both signs, all above 0, all below, tiny, huge
        const float low[] = {-1, 0.5F, -9, -1e-20F, -1e30F};
        const float high[] = {3, 2, -1, 1e-20F, 1e30F};
        for (size_t i = 0; i < n; ++i) x[r * ldx + i] = random.uniform(low[r], high[r]);
      }
      for (float& f : factor.span()) f = random.uniform(0.5F, 2);
      const float* given = with_factor ? factor.data() : nullptr;
      const auto q = run(kRef, kRows, n, x, ldx, given, ldy);
      for (size_t r = 0; r < kRows; ++r) {
        std::vector<float> row(n);
        for (size_t i = 0; i < n; ++i) row[i] = x[r * ldx + i] * (with_factor ? factor[i] : 1);
        const float low = std::min(0.0F, *std::min_element(row.begin(), row.end()));
        const float high = std::max(0.0F, *std::max_element(row.begin(), row.end()));
        ASSERT_EQ(q.scale[r], (high - low) / 255);
        ASSERT_EQ(q.zero[r], std::nearbyint(-low / q.scale[r]));
        for (size_t i = 0; i < n; ++i) {
          const float rounded = std::nearbyint(row[i] * (1 / q.scale[r]));
          ASSERT_EQ(q.y[r * ldy + i], std::clamp<float>(rounded + q.zero[r], 0, 255));
          const double back = (double{q.y[r * ldy + i] + 0.0} - q.zero[r]) * q.scale[r];
          // Half a step, and up to one more where both ends were rounded outwards.
          ASSERT_NEAR(back, row[i], 1.001 * q.scale[r]);
        }
        if (r + 1 < kRows) {
          ASSERT_EQ(q.y[r * ldy + n], 77);
        }
      }
      expect_same_everywhere(kRows, n, x, ldx, given, ldy);
    }
  }
}

TEST(QuantizeRows, HalvesGoToTheEvenNumber) {
  // The range is 255, so the scale is 1.
  const auto x = Guarded<float>::of(std::vector<float>{0, 255, 0.5F, 1.5F, 2.5F, 126.5F, 127.5F});
  const std::vector<int> want = {0, 255, 0, 2, 2, 126, 128};
  // -low / scale is 1.5, which is 2; 253.5 is 254, and 254 + 2 is clamped.
  const auto shifted = Guarded<float>::of(std::vector<float>{-1.5F, 253.5F, 0.5F, -0.5F});
  const std::vector<int> want_shifted = {0, 255, 2, 2};
  for (const Table* table : test::tables()) {
    const auto q = run(*table, 1, x.size(), x, x.size(), nullptr, x.size());
    EXPECT_EQ(q.scale[0], 1);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(q.y[i], want[i]) << table->name << i;
    const auto s = run(*table, 1, shifted.size(), shifted, 4, nullptr, 4);
    EXPECT_EQ(s.scale[0], 1);
    EXPECT_EQ(s.zero[0], 2);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(s.y[i], want_shifted[i]) << table->name << i;
  }
}

TEST(QuantizeRows, RowsWithoutARange) {
  struct Case {
    const char* name;
    float value;
    bool finite;
  };
  for (const Case& c :
       {Case{"zero", 0, true}, Case{"minus zero", -0.0F, true}, Case{"tiny", 1e-38F, true},
        Case{"denormal", -1e-42F, true}, Case{"NaN", kNaN, false}, Case{"inf", kInf, false},
        Case{"-inf", -kInf, false}}) {
    for (const size_t n : {1, 16, 33, 40}) {
      for (size_t at = 0; at < n; ++at) {
        // A row as it should be, the broken one, and another.
        Guarded<float> x(3 * n);
        for (size_t i = 0; i < n; ++i) {
          x[i] = x[2 * n + i] = 1 + static_cast<float>(i);
          x[n + i] = c.finite ? c.value : static_cast<float>(i);
        }
        x[n + at] = c.value;
        const auto q = run(kRef, 3, n, x, n, nullptr, n);
        if (c.finite) {
          EXPECT_EQ(q.scale[1], 0) << c.name;
        } else {
          EXPECT_TRUE(std::isnan(q.scale[1])) << c.name << " at " << at;
        }
        EXPECT_EQ(q.zero[1], 0);
        for (size_t i = 0; i < n; ++i) {
          EXPECT_EQ(q.y[n + i], 0);
          EXPECT_EQ(q.y[i], q.y[2 * n + i]);
        }
        EXPECT_GT(q.scale[0], 0);
        EXPECT_EQ(q.y[2 * n + n - 1], 255);
        expect_same_everywhere(3, n, x, n, nullptr, n);
      }
    }
  }
  // Finite numbers whose range is not.
  const auto x = Guarded<float>::of(std::vector<float>{3e38F, -3e38F, 1});
  for (const Table* table : test::tables()) {
    EXPECT_TRUE(std::isnan(run(*table, 1, 3, x, 3, nullptr, 3).scale[0])) << table->name;
  }
}

TEST(QuantizeRows, ARowDoesNotSeeItsNeighbours) {
  constexpr size_t kRows = 64;
  constexpr size_t kN = 50;
  const auto x = Guarded<float>::of(Random(1).floats(kRows * kN));
  for (const Table* table : test::tables()) {
    const auto all = run(*table, kRows, kN, x, kN, nullptr, kN);
    for (size_t r = 0; r < kRows; ++r) {
      Guarded<float> row(kN);
      std::copy_n(x.data() + r * kN, kN, row.data());
      const auto one = run(*table, 1, kN, row, kN, nullptr, kN);
      EXPECT_EQ(one.scale[0], all.scale[r]);
      EXPECT_EQ(one.zero[0], all.zero[r]);
      EXPECT_TRUE(std::equal(one.y.data(), one.y.data() + kN, all.y.data() + r * kN));
    }
  }
}

// 65,535 steps, and each number as two bytes, the high ones of a row before the low ones.
TEST(QuantizeRowsU16, FollowsTheFormula) {
  constexpr size_t kRows = 8;
  for (const size_t n : {1, 2, 15, 16, 17, 33, 64, 100, 1000}) {
    for (const bool with_factor : {false, true}) {
      const size_t ldx = n + 3;
      const size_t ldy = n + 1;
      Random random(n);
      Guarded<float> x((kRows - 1) * ldx + n);
      const float low[kRows] = {-1, 0.5F, -9, -1e-20F, -1e30F, 0, 1e-34F, -1};
      const float high[kRows] = {3, 2, -1, 1e-20F, 1e30F, 0, 1e-33F, 1};
      for (size_t r = 0; r < kRows; ++r)
        for (size_t i = 0; i < n; ++i) x[r * ldx + i] = random.uniform(low[r], high[r]);
      x[(kRows - 1) * ldx + n / 2] = n % 2 == 0 ? kNaN : kInf;
      Guarded<float> factor(n);
      for (float& f : factor.span()) f = random.uniform(0.5F, 2);
      const float* given = with_factor ? factor.data() : nullptr;
      const auto run_wide = [&](const Table& table) {
        struct {
          Guarded<uint8_t> y, zero;
          Guarded<float> scale;
        } q{Guarded<uint8_t>((2 * kRows - 1) * ldy + n), Guarded<uint8_t>(2 * kRows),
            Guarded<float>(kRows)};
        q.y.fill(77);
        table.quantize_rows_f32_u16(kRows, n, x.data(), ldx, given, q.y.data(), ldy, q.scale.data(),
                                    q.zero.data());
        return q;
      };
      const auto q = run_wide(kRef);
      for (size_t r = 0; r < kRows; ++r) {
        std::vector<float> row(n);
        for (size_t i = 0; i < n; ++i) row[i] = x[r * ldx + i] * (with_factor ? factor[i] : 1);
        const float bottom = std::min(0.0F, *std::min_element(row.begin(), row.end()));
        const float top = std::max(0.0F, *std::max_element(row.begin(), row.end()));
        const int zero = 256 * q.zero[2 * r] + q.zero[2 * r + 1];
        const bool broken = r + 1 == kRows;
        const bool empty = r == 5 || r == 6;
        if (broken) {
          ASSERT_TRUE(std::isnan(q.scale[r]));
        } else if (empty) {
          ASSERT_EQ(q.scale[r], 0);
        } else {
          ASSERT_EQ(q.scale[r], (top - bottom) / 65535);
          ASSERT_EQ(zero, static_cast<int>(std::nearbyint(-bottom / q.scale[r])));
        }
        for (size_t i = 0; i < n; ++i) {
          const int v = 256 * q.y[2 * r * ldy + i] + q.y[(2 * r + 1) * ldy + i];
          if (broken || empty) {
            ASSERT_EQ(v + zero, 0);
            continue;
          }
          const float rounded = std::nearbyint(row[i] * (1 / q.scale[r]));
          ASSERT_EQ(v, std::clamp<float>(rounded + static_cast<float>(zero), 0, 65535));
        }
        ASSERT_EQ(q.y[2 * r * ldy + n], 77);
      }
      for (const Table* table : test::tables()) {
        const auto other = run_wide(*table);
        ASSERT_TRUE(test::same_bytes(q.y, other.y)) << table->name << " n " << n;
        ASSERT_TRUE(test::same_bytes(q.zero, other.zero)) << table->name << " n " << n;
        ASSERT_TRUE(test::same_bytes(q.scale, other.scale)) << table->name << " n " << n;
      }
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
