// The float GEMM: ref against double, every instruction set against ref byte for byte, in buffers
// that end at an unmapped page; a row's bits do not depend on how many rows come with it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;
using test::same_bytes;

struct Problem {
  size_t m, n, k, lda, ldb, ldc;
  Guarded<float> a, b, packed, bias;

  Problem(size_t rows, size_t columns, size_t depth, size_t slack = 0)
      : m(rows),
        n(columns),
        k(depth),
        lda(depth + slack),
        ldb(columns + slack),
        ldc(columns + slack),
        // The last row stops at its last element: a leading dimension promises no bytes behind it.
        a(rows == 0 ? 0 : (rows - 1) * lda + depth),
        b(depth == 0 ? 0 : (depth - 1) * ldb + columns),
        packed(packed_f32_floats(depth, columns)),
        bias(columns) {
    Random random(m * 1000003 + n * 1009 + k);
    for (float& x : a.span()) x = random.uniform(-1, 1);
    for (float& x : b.span()) x = random.uniform(-1, 1);
    for (float& x : bias.span()) x = random.uniform(-1, 1);
    pack_f32(k, n, b.data(), ldb, 1, packed.data());
  }
  Guarded<float> empty() const {
    Guarded<float> c(m == 0 ? 0 : (m - 1) * ldc + n);
    c.fill(-777);
    return c;
  }
  Guarded<float> run(const Table& table, bool with_bias) const {
    auto c = empty();
    table.gemm_f32(m, 0, n, k, a.data(), lda, packed.data(), with_bias ? bias.data() : nullptr,
                   c.data(), ldc);
    return c;
  }
};

TEST(GemmF32, RefIsTheDotProductInDouble) {
  for (const auto& [m, n, k] : {std::array<size_t, 3>{3, 37, 129}, {1, 1, 1}, {5, 64, 1000}}) {
    const Problem problem(m, n, k, 3);
    const auto c = problem.run(kRef, true);
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double sum = problem.bias[j];
        double magnitude = std::abs(sum);
        for (size_t p = 0; p < k; ++p) {
          const double term =
              static_cast<double>(problem.a[i * problem.lda + p]) * problem.b[p * problem.ldb + j];
          sum += term;
          magnitude += std::abs(term);
        }
        // k roundings, each at most half an ulp of a partial sum.
        EXPECT_NEAR(c[i * problem.ldc + j], sum, magnitude * static_cast<double>(k + 1) * 0x1p-24);
      }
    }
  }
}

TEST(GemmF32, EveryIsaGivesTheBytesOfRef) {
  for (const size_t m : {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25, 37}) {
    for (const size_t n : {1, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 100}) {
      for (const size_t k : {0, 1, 3, 64, 77}) {
        const Problem problem(m, n, k, (m + n + k) % 3);
        for (const bool with_bias : {false, true}) {
          const auto want = problem.run(kRef, with_bias);
          for (const Table* table : test::tables()) {
            ASSERT_TRUE(same_bytes(want, problem.run(*table, with_bias)))
                << table->name << " m " << m << " n " << n << " k " << k;
          }
        }
        const auto want = problem.run(kRef, false);
        for (const Table* table : test::tables()) {
          auto c = problem.empty();
          table->gemm_f32_unpacked(m, n, k, problem.a.data(), problem.lda, problem.b.data(),
                                   problem.ldb, c.data(), problem.ldc);
          ASSERT_TRUE(same_bytes(want, c))
              << table->name << " unpacked m " << m << " n " << n << " k " << k;
        }
      }
    }
  }
}

// The wanted columns and no others are written, and a split gives the bits of the whole.
TEST(GemmF32, ColumnsMayBeSplit) {
  const Problem problem(9, 150, 40);
  const auto want = problem.run(kRef, true);
  for (const Table* table : test::tables()) {
    auto c = problem.empty();
    table->gemm_f32(problem.m, 64, 128, problem.k, problem.a.data(), problem.lda,
                    problem.packed.data(), problem.bias.data(), c.data(), problem.ldc);
    EXPECT_EQ(c[63], -777);
    EXPECT_EQ(c[128], -777);
    for (const auto& [from, to] : {std::pair<size_t, size_t>{0, 64}, {128, 150}, {64, 64}}) {
      table->gemm_f32(problem.m, from, to, problem.k, problem.a.data(), problem.lda,
                      problem.packed.data(), problem.bias.data(), c.data(), problem.ldc);
    }
    EXPECT_TRUE(same_bytes(want, c)) << table->name;
  }
}

TEST(GemmF32, ARowDoesNotDependOnItsNeighbours) {
  const Problem problem(200, 70, 33);
  for (const Table* table : test::tables()) {
    const auto whole = problem.run(*table, true);
    for (size_t m = 1; m <= problem.m; ++m) {
      Guarded<float> c((m - 1) * problem.ldc + problem.n);
      table->gemm_f32(m, 0, problem.n, problem.k, problem.a.data(), problem.lda,
                      problem.packed.data(), problem.bias.data(), c.data(), problem.ldc);
      for (size_t i = 0; i < c.size(); ++i) ASSERT_EQ(c[i], whole[i]) << table->name << " m " << m;
    }
  }
}

TEST(GemmF32, ZerosGiveTheBiasAndNaNStaysInItsRow) {
  Problem problem(13, 40, 20);
  problem.a.fill(0);
  problem.a[5 * problem.lda + 7] = std::nanf("");
  for (const Table* table : test::tables()) {
    const auto c = problem.run(*table, true);
    for (size_t i = 0; i < problem.m; ++i) {
      for (size_t j = 0; j < problem.n; ++j) {
        if (i == 5) {
          EXPECT_TRUE(std::isnan(c[i * problem.ldc + j]));
        } else {
          EXPECT_EQ(c[i * problem.ldc + j], problem.bias[j]) << table->name;
        }
      }
    }
  }
}

TEST(PackF32, EveryOrderOfStridesGivesTheSamePanels) {
  for (const size_t k : {1, 3, 4, 8, 21}) {
    for (const size_t n : {1, 4, 5, 31, 32, 33, 70}) {
      Random random(k * 100 + n);
      const auto rows = Guarded<float>::of(random.floats(k * n));
      Guarded<float> columns(k * n);
      Guarded<float> spread(k * n * 2 - 1);
      for (size_t p = 0; p < k; ++p) {
        for (size_t j = 0; j < n; ++j) {
          columns[j * k + p] = rows[p * n + j];
          spread[(p * n + j) * 2] = rows[p * n + j];
        }
      }
      Guarded<float> packed(packed_f32_floats(k, n));
      Guarded<float> from_columns(packed.size());
      Guarded<float> from_spread(packed.size());
      packed.fill(9);
      from_columns.fill(9);
      from_spread.fill(9);
      pack_f32(k, n, rows.data(), n, 1, packed.data());
      pack_f32(k, n, columns.data(), 1, k, from_columns.data());
      pack_f32(k, n, spread.data(), n * 2, 2, from_spread.data());
      for (size_t i = 0; i < packed.size(); ++i) {
        const size_t column = i / (k * kPanelF32) * kPanelF32 + i % kPanelF32;
        const size_t p = i / kPanelF32 % k;
        EXPECT_EQ(packed[i], column < n ? rows[p * n + column] : 0.0F);
      }
      EXPECT_TRUE(same_bytes(packed, from_columns)) << k << " " << n;
      EXPECT_TRUE(same_bytes(packed, from_spread)) << k << " " << n;
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
