// Row kernels: ref against double, every instruction set against ref byte for byte, rows ending at
// an unmapped page.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;
using test::same_bytes;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kLengths[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 100, 384, 1001};

// y made by each table from the same x must be the bytes of ref's.
void expect_same(size_t y_size, const std::function<void(const Table&, Guarded<float>&)>& run) {
  Guarded<float> want(y_size);
  run(kRef, want);
  for (const Table* table : test::tables()) {
    Guarded<float> y(y_size);
    run(*table, y);
    EXPECT_TRUE(same_bytes(want, y)) << table->name << " of " << y_size;
  }
}

TEST(Softmax, CloseToDoubleAndSameEverywhere) {
  for (const size_t n : kLengths) {
    constexpr size_t kRows = 3;
    const auto x = Guarded<float>::of(Random(n).floats(kRows * n, -20, 20));
    Guarded<float> y(kRows * n);
    kRef.softmax_f32(kRows, n, x.data(), y.data());
    for (size_t r = 0; r < kRows; ++r) {
      double sum = 0;
      for (size_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[r * n + i]));
      for (size_t i = 0; i < n; ++i) {
        const double want = std::exp(static_cast<double>(x[r * n + i])) / sum;
        // x - max, up to 40 in size, is rounded before exp sees it.
        EXPECT_NEAR(y[r * n + i], want, want * 3e-6 + 1e-30);
      }
    }
    expect_same(y.size(), [&](const Table& table, Guarded<float>& out) {
      table.softmax_f32(kRows, n, x.data(), out.data());
    });
    expect_same(y.size(), [&](const Table& table, Guarded<float>& out) {  // in place
      std::copy_n(x.data(), x.size(), out.data());
      table.softmax_f32(kRows, n, out.data(), out.data());
    });
  }
}

TEST(Softmax, ExtremeRows) {
  struct Case {
    const char* name;
    std::vector<float> x;
    std::vector<float> y;
  };
  const std::vector<Case> cases = {
      {"huge and equal", std::vector<float>(20, 3e38F), std::vector<float>(20, 0.05F)},
      {"all masked", std::vector<float>(19, -kInf), std::vector<float>(19, 0.0F)},
      {"one left", {-kInf, -kInf, 5, -kInf}, {0, 0, 1, 0}},
      {"far apart", {-3e38F, 3e38F}, {0, 1}},
      {"NaN", std::vector<float>(18, kNaN), std::vector<float>(18, kNaN)},
  };
  for (const Case& c : cases) {
    for (const Table* table : test::tables()) {
      const auto x = Guarded<float>::of(c.x);
      Guarded<float> y(c.x.size());
      table->softmax_f32(1, c.x.size(), x.data(), y.data());
      for (size_t i = 0; i < y.size(); ++i) {
        if (std::isnan(c.y[i])) {
          EXPECT_TRUE(std::isnan(y[i])) << c.name << " " << table->name;
        } else {
          EXPECT_FLOAT_EQ(y[i], c.y[i]) << c.name << " " << table->name;
        }
      }
    }
  }
}

TEST(LayerNorm, CloseToDoubleAndSameEverywhere) {
  for (const size_t n : kLengths) {
    constexpr size_t kRows = 2;
    constexpr float kEps = 1e-5F;
    Random random(n);
    const auto x = Guarded<float>::of(random.floats(kRows * n, 90, 110));  // mean far from zero
    const auto gain = Guarded<float>::of(random.floats(n));
    const auto bias = Guarded<float>::of(random.floats(n));
    for (const auto& [g, b] : {std::pair{gain.data(), bias.data()},
                               {gain.data(), static_cast<const float*>(nullptr)},
                               {static_cast<const float*>(nullptr), bias.data()}}) {
      Guarded<float> y(kRows * n);
      kRef.layer_norm_f32(kRows, n, x.data(), g, b, kEps, y.data());
      for (size_t r = 0; r < kRows; ++r) {
        const float* row = x.data() + r * n;
        double mean = 0;
        double variance = 0;
        for (size_t i = 0; i < n; ++i) mean += row[i] / static_cast<double>(n);
        for (size_t i = 0; i < n; ++i) variance += (row[i] - mean) * (row[i] - mean);
        const double scale = 1 / std::sqrt(variance / static_cast<double>(n) + kEps);
        for (size_t i = 0; i < n; ++i) {
          const double want =
              (row[i] - mean) * scale * (g == nullptr ? 1.0F : g[i]) + (b == nullptr ? 0.0F : b[i]);
          // The mean is a float near 100, half an ulp of it is 4e-6.
          EXPECT_NEAR(y[r * n + i], want, 8e-6 * scale + 1e-6) << n;
        }
      }
      expect_same(y.size(), [&](const Table& table, Guarded<float>& out) {
        std::copy_n(x.data(), x.size(), out.data());
        table.layer_norm_f32(kRows, n, out.data(), g, b, kEps, out.data());
      });
    }
  }
}

TEST(RmsNorm, CloseToDoubleAndSameEverywhere) {
  for (const size_t n : kLengths) {
    constexpr size_t kRows = 2;
    constexpr float kEps = 1e-6F;
    Random random(n);
    const auto x = Guarded<float>::of(random.floats(kRows * n, -3, 3));
    const auto gain = Guarded<float>::of(random.floats(n));
    for (const float* g : {gain.data(), static_cast<const float*>(nullptr)}) {
      Guarded<float> y(kRows * n);
      kRef.rms_norm_f32(kRows, n, x.data(), g, kEps, y.data());
      for (size_t r = 0; r < kRows; ++r) {
        const float* row = x.data() + r * n;
        double squares = 0;
        for (size_t i = 0; i < n; ++i) squares += static_cast<double>(row[i]) * row[i];
        const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + kEps);
        for (size_t i = 0; i < n; ++i) {
          const double want = row[i] * scale * (g == nullptr ? 1.0F : g[i]);
          EXPECT_NEAR(y[r * n + i], want, std::abs(want) * 1e-6 + 1e-30);
        }
      }
      expect_same(y.size(), [&](const Table& table, Guarded<float>& out) {
        table.rms_norm_f32(kRows, n, x.data(), g, kEps, out.data());
      });
    }
  }
}

// A row of zeros must not become NaN.
TEST(Norms, ZerosStayFinite) {
  const std::vector<float> x(33, 0.0F);
  for (const Table* table : test::tables()) {
    std::vector<float> y(33, kNaN);
    table->rms_norm_f32(1, 33, x.data(), nullptr, 1e-6F, y.data());
    for (const float v : y) EXPECT_EQ(v, 0.0F);
    table->layer_norm_f32(1, 33, x.data(), nullptr, nullptr, 1e-5F, y.data());
    for (const float v : y) EXPECT_EQ(v, 0.0F);
  }
}

TEST(MinMax, WidensAndSkipsNaN) {
  for (const size_t n : kLengths) {
    auto x = Guarded<float>::of(Random(n).floats(n, -5, 5));
    if (n > 3) x[n / 2] = kNaN;
    float want_low = -1;
    float want_high = 1;
    for (const float v : x.span()) {
      if (v < want_low) want_low = v;
      if (v > want_high) want_high = v;
    }
    for (const Table* table : test::tables()) {
      float low = -1;
      float high = 1;
      table->min_max_f32(n, x.data(), &low, &high);
      EXPECT_EQ(low, want_low) << table->name << " " << n;
      EXPECT_EQ(high, want_high) << table->name << " " << n;
    }
  }
}

TEST(AllFinite, FindsOneBadValueAnywhere) {
  for (const size_t n : kLengths) {
    auto x = Guarded<float>::of(Random(n).floats(n, -1e38F, 1e38F));
    for (const Table* table : test::tables()) EXPECT_TRUE(table->all_finite_f32(n, x.data()));
    for (const float bad : {kNaN, kInf, -kInf}) {
      for (const size_t at : {size_t{0}, n / 2, n - 1}) {
        const float kept = x[at];
        x[at] = bad;
        for (const Table* table : test::tables())
          EXPECT_FALSE(table->all_finite_f32(n, x.data())) << table->name << " " << n << " " << at;
        x[at] = kept;
      }
    }
  }
}

TEST(ColumnAbsmax, RaisesWhatIsThere) {
  for (const size_t n : kLengths) {
    constexpr size_t kRows = 5;
    auto x = Guarded<float>::of(Random(n).floats(kRows * n, -5, 5));
    x[0] = kNaN;
    std::vector<float> want(n, 2.0F);
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::abs(x[i]) > want[i % n]) want[i % n] = std::abs(x[i]);
    }
    for (const Table* table : test::tables()) {
      Guarded<float> max(n);
      max.fill(2.0F);
      table->column_absmax_f32(kRows, n, x.data(), max.data());
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(max[i], want[i]) << table->name << " " << n;
    }
  }
}

template <class T>
T exact_quantize(float x, float scale, T zero) {
  const float q = x / scale;
  if (std::isnan(q)) return std::numeric_limits<T>::lowest();
  const double rounded = std::nearbyint(static_cast<double>(q)) + zero;
  return static_cast<T>(
      std::clamp<double>(rounded, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()));
}

template <class T>
void check_quantize(void (*Table::*kernel)(size_t, const float*, float, T, T*)) {
  std::vector<float> values = Random(5).floats(500, -400, 400);
  for (int i = -300; i < 300; ++i) values.push_back(static_cast<float>(i) + 0.5F);  // ties
  for (const float v : {0.0F, -0.0F, kInf, -kInf, kNaN, 1e38F, -1e38F, 1e-40F}) values.push_back(v);
  for (const float scale : {1.0F, 0.37F, 1e-38F, 3e38F}) {
    for (const int zero :
         {int{std::numeric_limits<T>::lowest()}, 0, 3, int{std::numeric_limits<T>::max()}}) {
      const auto z = static_cast<T>(zero);
      for (size_t n : {values.size(), size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{47}}) {
        const auto x = Guarded<float>::of(std::span(values).last(n));
        for (const Table* table : test::tables()) {
          Guarded<T> y(n);
          (table->*kernel)(n, x.data(), scale, z, y.data());
          for (size_t i = 0; i < n; ++i) {
            ASSERT_EQ(+y[i], +exact_quantize<T>(x[i], scale, z))
                << table->name << " of " << x[i] << " by " << scale << " zero " << zero;
          }
        }
      }
    }
  }
}

TEST(Quantize, RoundsHalfToEvenAndClamps) {
  check_quantize<uint8_t>(&Table::quantize_f32_u8);
  check_quantize<int8_t>(&Table::quantize_f32_s8);
}

}  // namespace
}  // namespace octavo::kernels
