// The product of a linear layer with everything after it: ref against int64 sums and double
// functions, every instruction set against ref byte for byte. With activations of 8 bits, and of 16
// as two rows of bytes.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

constexpr Epilogue kEpilogues[] = {Epilogue::store,     Epilogue::add,   Epilogue::gelu,
                                   Epilogue::gelu_tanh, Epilogue::silu,  Epilogue::relu,
                                   Epilogue::swiglu,    Epilogue::geglu, Epilogue::geglu_tanh};

bool gated(Epilogue e) {
  return e == Epilogue::swiglu || e == Epilogue::geglu || e == Epilogue::geglu_tanh;
}

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double silu(double x) { return x / (1 + std::exp(-x)); }

// Of the product, what lay in C before, and the product of the up column.
double finished(Epilogue e, double f, double before, double up) {
  switch (e) {
    case Epilogue::store:
      return f;
    case Epilogue::add:
      return before + f;
    case Epilogue::gelu:
      return gelu(f);
    case Epilogue::gelu_tanh:
      return gelu_tanh(f);
    case Epilogue::silu:
      return silu(f);
    case Epilogue::relu:
      return f > 0 ? f : 0;
    case Epilogue::swiglu:
      return silu(f) * up;
    case Epilogue::geglu:
      return gelu(f) * up;
    case Epilogue::geglu_tanh:
      return gelu_tanh(f) * up;
  }
  return 0;
}

// m rows, n outputs of depth k. Of a gated layer, b holds gate and then up.
struct Problem {
  size_t m, n, k;
  Epilogue epilogue;
  size_t parts;                        // rows of bytes for each row
  size_t matrices, columns, lda, ldc;  // columns: packed ones that exist
  Guarded<uint8_t> a, zero;
  Guarded<int8_t> b, packed;
  Guarded<int32_t> sums;
  Guarded<float> a_scale, scale, bias;
  bool with_bias;

  Problem(size_t rows, size_t outputs, size_t depth, Epilogue e, bool bias_too = true,
          size_t slack = 0, size_t bytes = 1)
      : m(rows),
        n(outputs),
        k(depth),
        epilogue(e),
        parts(bytes),
        matrices(gated(e) ? 2 : 1),
        columns(gated(e) ? gated_columns(n) : n),
        lda(k + slack),
        ldc((gated(e) ? columns / 2 : n) + slack),
        a((m * parts - 1) * lda + k),
        zero(m * parts),
        b(matrices * k * n),
        packed(packed_s8_bytes(k, columns)),
        sums(whole()),
        a_scale(m),
        scale(whole()),
        bias(whole()),
        with_bias(bias_too) {
    Random random(m * 1000003 + n * 1009 + k);
    for (uint8_t& x : a.span()) x = static_cast<uint8_t>(random.bits());
    for (uint8_t& x : zero.span()) x = static_cast<uint8_t>(random.bits());
    for (int8_t& x : b.span()) x = static_cast<int8_t>(random.integer(-127, 127));
    // Products of about 1, so that the activations are where they bend.
    const float unit = (parts == 1 ? 1e-4F : 4e-7F) / std::sqrt(static_cast<float>(k));
    for (float& x : a_scale.span()) x = random.uniform(0.5F, 2.0F) * unit;
    for (size_t j = 0; j < n * matrices; ++j) {
      scale[column(j)] = random.uniform(0.5F, 2.0F);
      bias[column(j)] = random.uniform(-1, 1);
    }
    pack();
  }
  size_t whole() const { return (columns + kPanelS8 - 1) / kPanelS8 * kPanelS8; }
  size_t outputs() const { return gated(epilogue) ? columns / 2 : n; }
  // Where column j of b is packed.
  size_t column(size_t j) const {
    if (!gated(epilogue)) return j;
    return j < n ? gated_column(j) : gated_column(j - n) + kPanelS8 / 2;
  }
  void pack() {
    if (gated(epilogue)) {
      pack_s8_gated(k, n, b.data(), b.data() + k * n, n, 1, packed.data(), sums.data());
    } else {
      pack_s8(k, n, b.data(), n, 1, packed.data(), sums.data());
    }
  }
  LayerS8 layer() const {
    return {k, packed.data(), sums.data(), scale.data(), with_bias ? bias.data() : nullptr};
  }
  Guarded<float> before() const {
    Guarded<float> c((m - 1) * ldc + outputs());
    for (size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(i % 17) * 0.25F - 2;
    return c;
  }
  Guarded<float> run(const Table& table) const {
    auto c = before();
    const auto gemm = parts == 1 ? table.gemm_u8s8_f32 : table.gemm_u16s8_f32;
    gemm(m, 0, columns, a.data(), lda, a_scale.data(), zero.data(), layer(), epilogue, c.data(),
         ldc);
    return c;
  }
  int64_t sum(size_t row, size_t matrix, size_t j) const {
    int64_t total = 0;
    for (size_t p = 0; p < k; ++p)
      total += (int64_t{a[row * lda + p]} - zero[row]) * b[(matrix * k + p) * n + j];
    return total;
  }
  double product(size_t i, size_t matrix, size_t j) const {
    int64_t total = 0;
    for (size_t part = 0; part < parts; ++part)
      total = total * 256 + sum(i * parts + part, matrix, j);
    const size_t at = column(matrix * n + j);
    const double f = static_cast<double>(total) * a_scale[i] * scale[at];
    return with_bias ? f + bias[at] : f;
  }
  std::string text() const {
    return "m " + std::to_string(m) + " n " + std::to_string(n) + " k " + std::to_string(k) +
           " epilogue " + std::to_string(static_cast<int>(epilogue));
  }
  void expect_right() const {
    const auto c = run(kRef);
    const auto old = before();
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < n; ++j) {
        const double up = gated(epilogue) ? product(i, 1, j) : 0;
        const double want = finished(epilogue, product(i, 0, j), old[i * ldc + j], up);
        ASSERT_NEAR(c[i * ldc + j], want, 2e-6 * (1 + std::abs(want))) << text() << " " << i;
      }
      for (size_t j = outputs(); j < ldc && i + 1 < m; ++j) {
        ASSERT_EQ(c[i * ldc + j], old[i * ldc + j]) << text() << ": written beyond the columns";
      }
    }
    for (const Table* table : test::tables()) {
      ASSERT_TRUE(test::same_bytes(c, run(*table))) << table->name << " " << text();
    }
  }
};

TEST(GemmU8S8F32, EverySizeAndEpilogue) {
  size_t turn = 0;
  for (size_t m = 1; m <= 13; ++m) {
    for (const size_t n : {1, 31, 33, 63, 64, 65, 130}) {
      for (const size_t k : {1, 3, 4, 5, 64}) {
        for (const Epilogue e : kEpilogues) {
          Problem(m, n, k, e, turn % 2 == 0, turn % 3).expect_right();
          ++turn;
        }
      }
    }
  }
}

// Blocks of rows one after the other, the last one smaller: what becomes of one is computed between
// the products of the next.
TEST(GemmU8S8F32, SeveralBlocksOfTiles) {
  size_t turn = 0;
  for (const size_t m : {16, 17, 33, 40, 64, 81}) {
    for (const size_t n : {32, 64, 65, 130, 200}) {
      for (const size_t k : {36, 64, 120}) {
        for (const Epilogue e : kEpilogues) {
          Problem(m, n, k, e, turn % 2 == 0, turn % 3).expect_right();
          ++turn;
        }
      }
    }
  }
}

TEST(GemmU8S8F32, DeeperThanABlock) {
  size_t turn = 0;
  for (const size_t m : {1, 6, 7, 12, 13, 14, 15, 25, 193}) {
    for (const size_t k : {512, 515, 1025, 3072}) {
      Problem(m, 65, k, kEpilogues[turn % 9], turn % 2 == 0).expect_right();
      ++turn;
    }
  }
}

// 255 * 127 + 255 * 127 does not fit 16 bits, and the sum does not fit the 24 bits of a float.
TEST(GemmU8S8F32, NeverSaturates) {
  for (const int b : {127, -127, -128}) {
    Problem problem(b == 127 ? 7 : 27, 70, 3072, Epilogue::store, false);
    problem.a.fill(255);
    problem.zero.fill(0);
    problem.b.fill(static_cast<int8_t>(b));
    problem.a_scale.fill(0.5F);
    problem.scale.fill(0.25F);
    problem.pack();
    for (const Table* table : test::tables()) {
      const auto c = problem.run(*table);
      for (const float x : {c[0], c[c.size() - 1]}) {
        EXPECT_EQ(x, static_cast<float>(255 * b * 3072) * 0.125F) << table->name;
      }
    }
  }
}

TEST(GemmU8S8F32, EmptyAndBrokenRows) {
  size_t turn = 0;
  for (const Epilogue e : kEpilogues) {
    // Without tiles and with them.
    const bool tiles = turn++ % 2 != 0;
    Problem problem(tiles ? 40 : 8, 96, tiles ? 36 : 20, e, false);
    problem.a_scale[2] = 0;
    problem.a_scale[5] = std::numeric_limits<float>::quiet_NaN();
    const auto want = problem.run(kRef);
    const auto old = problem.before();
    for (size_t j = 0; j < problem.n; ++j) {
      EXPECT_EQ(want[2 * problem.ldc + j], e == Epilogue::add ? old[2 * problem.ldc + j] : 0);
      EXPECT_TRUE(std::isnan(want[5 * problem.ldc + j])) << problem.text();
      EXPECT_TRUE(std::isfinite(want[4 * problem.ldc + j]));
      EXPECT_TRUE(std::isfinite(want[6 * problem.ldc + j]));
    }
    for (const Table* table : test::tables()) {
      EXPECT_TRUE(test::same_bytes(want, problem.run(*table))) << table->name << problem.text();
    }
  }
}

TEST(GemmU16S8F32, EverySizeAndEpilogue) {
  size_t turn = 0;
  for (const size_t m : {1, 2, 3, 4, 6, 7, 11, 16, 17, 33}) {
    for (const size_t n : {1, 33, 63, 64, 65, 130}) {
      for (const size_t k : {1, 3, 4, 5, 36, 64, 256, 1025}) {
        for (const Epilogue e : kEpilogues) {
          if ((k > 64 || m > 11) && turn % 4 != 0) {
            ++turn;
            continue;
          }
          Problem(m, n, k, e, turn % 2 == 0, turn % 3, 2).expect_right();
          ++turn;
        }
      }
    }
  }
}

// The rounding of a file with 16-bit activations: 256 times one sum, the other, a scale.
TEST(GemmU16S8F32, RoundsAsTheFileDoes) {
  Problem problem(9, 70, 3072, Epilogue::store, false, 0, 2);
  for (uint8_t& x : problem.zero.span()) x = 0;
  const auto c = problem.run(kRef);
  for (size_t i = 0; i < problem.m; ++i) {
    for (size_t j = 0; j < problem.n; ++j) {
      const auto high = static_cast<float>(problem.sum(2 * i, 0, j));
      const auto low = static_cast<float>(problem.sum(2 * i + 1, 0, j));
      const float scale = problem.a_scale[i] * problem.scale[j];
      ASSERT_EQ(c[i * problem.ldc + j], (high * 256.0F + low) * scale);
    }
  }
}

TEST(GemmU16S8F32, EmptyAndBrokenRows) {
  Problem problem(20, 96, 36, Epilogue::swiglu, false, 0, 2);
  problem.a_scale[2] = 0;
  problem.a_scale[5] = std::numeric_limits<float>::quiet_NaN();
  const auto want = problem.run(kRef);
  for (size_t j = 0; j < problem.n; ++j) {
    EXPECT_EQ(want[2 * problem.ldc + j], 0);
    EXPECT_TRUE(std::isnan(want[5 * problem.ldc + j]));
    EXPECT_TRUE(std::isfinite(want[4 * problem.ldc + j]));
  }
  for (const Table* table : test::tables())
    EXPECT_TRUE(test::same_bytes(want, problem.run(*table))) << table->name;
}

TEST(GemmU8S8F32, ColumnsMayBeSplit) {
  for (const Epilogue e : {Epilogue::add, Epilogue::relu, Epilogue::swiglu}) {
    const size_t n = gated(e) ? 100 : 200;
    const bool tiles = e != Epilogue::relu;
    Problem problem(tiles ? 40 : 7, n, tiles ? 96 : 50, e);
    const auto want = problem.run(kRef);
    for (const Table* table : test::tables()) {
      auto c = problem.before();
      for (const auto& [from, to] :
           {std::pair<size_t, size_t>{64, 128}, {128, problem.columns}, {0, 64}}) {
        table->gemm_u8s8_f32(problem.m, from, to, problem.a.data(), problem.lda,
                             problem.a_scale.data(), problem.zero.data(), problem.layer(), e,
                             c.data(), problem.ldc);
        if (from == 64) {
          const auto old = problem.before();
          const size_t first = gated(e) ? 32 : 64;
          EXPECT_EQ(c[first - 1], old[first - 1]);
          EXPECT_EQ(c[2 * first], old[2 * first]);
        }
      }
      EXPECT_TRUE(test::same_bytes(want, c)) << table->name;
    }
  }
}

// Whatever stands in the other rows, and however many there are.
class GemmU8S8F32Rows : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Depths, GemmU8S8F32Rows, testing::Values(20, 36));

TEST_P(GemmU8S8F32Rows, DoNotSeeTheirNeighbours) {
  Problem problem(200, 70, GetParam(), Epilogue::silu);
  const auto want = problem.run(kRef);
  for (const Table* table : test::tables()) {
    for (size_t m = 1; m <= problem.m; ++m) {
      Guarded<float> c(m * problem.ldc);
      const size_t first = problem.m - m;
      table->gemm_u8s8_f32(m, 0, problem.columns, problem.a.data() + first * problem.lda,
                           problem.lda, problem.a_scale.data() + first, problem.zero.data() + first,
                           problem.layer(), problem.epilogue, c.data(), problem.ldc);
      ASSERT_EQ(0, std::memcmp(c.data(), want.data() + first * problem.ldc, m * problem.ldc * 4))
          << table->name << " m " << m;
    }
  }
}

TEST(PackS8Gated, LayoutAndSums) {
  for (const size_t k : {1, 4, 6}) {
    for (const size_t n : {1, 31, 32, 33, 70}) {
      Random random(k * 100 + n);
      Guarded<int8_t> b(2 * k * n);
      for (int8_t& x : b.span()) x = static_cast<int8_t>(random.bits());
      for (const bool transposed : {false, true}) {
        Guarded<int8_t> packed(packed_s8_bytes(k, gated_columns(n)));
        packed.fill(99);
        Guarded<int32_t> sums(gated_columns(n));
        sums.fill(-777);
        pack_s8_gated(k, n, b.data(), b.data() + k * n, transposed ? 1 : n, transposed ? k : 1,
                      packed.data(), sums.data());
        for (size_t c = 0; c < gated_columns(n); ++c) {
          const size_t j = c / 64 * 32 + c % 32;
          const int8_t* matrix = b.data() + (c % 64 < 32 ? 0 : k * n);
          int sum = 0;
          for (size_t p = 0; p < (k + 3) / 4 * 4; ++p) {
            const int want = j < n && p < k ? matrix[transposed ? j * k + p : p * n + j] : 0;
            const size_t at = c / 64 * packed_s8_bytes(k, 1) + p / 4 * 256 + c % 64 * 4 + p % 4;
            ASSERT_EQ(packed[at], want) << k << " " << n << " " << c << " " << p;
            sum += want;
          }
          ASSERT_EQ(sums[c], sum);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
