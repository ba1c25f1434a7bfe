// The integer GEMM is exact: equal to int64 sums, also where a saturating instruction would clip.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

struct Problem {
  size_t m, n, k, lda, ldc;
  Guarded<uint8_t> a, zero;
  Guarded<int8_t> b, packed;
  Guarded<int32_t> sums;

  Problem(size_t rows, size_t columns, size_t depth, size_t slack = 0)
      : m(rows),
        n(columns),
        k(depth),
        lda(depth + slack),
        ldc(columns + slack),
        a((rows - 1) * lda + depth),
        zero(rows),
        b(depth * columns),
        packed(packed_s8_bytes(depth, columns)),
        sums(columns) {
    Random random(m * 1000003 + n * 1009 + k);
    for (uint8_t& x : a.span()) x = static_cast<uint8_t>(random.bits());
    for (uint8_t& x : zero.span()) x = static_cast<uint8_t>(random.bits());
    for (int8_t& x : b.span()) x = static_cast<int8_t>(random.bits());
  }
  void pack() { pack_s8(k, n, b.data(), n, 1, packed.data(), sums.data()); }
  Guarded<int32_t> run(const Table& table, size_t zero_stride) const {
    Guarded<int32_t> c((m - 1) * ldc + n);
    c.fill(-777);
    table.gemm_u8s8_s32(m, 0, n, k, a.data(), lda, zero.data(), zero_stride, packed.data(),
                        sums.data(), c.data(), ldc);
    return c;
  }
  Guarded<int32_t> exact(size_t zero_stride) const {
    Guarded<int32_t> c((m - 1) * ldc + n);
    c.fill(-777);
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < n; ++j) {
        int64_t sum = 0;
        for (size_t p = 0; p < k; ++p) {
          sum += (int64_t{a[i * lda + p]} - zero[i * zero_stride]) * b[p * n + j];
        }
        c[i * ldc + j] = static_cast<int32_t>(sum);
      }
    }
    return c;
  }
  void expect_exact(size_t zero_stride) const {
    const auto want = exact(zero_stride);
    for (const Table* table : test::tables()) {
      ASSERT_TRUE(test::same_bytes(want, run(*table, zero_stride)))
          << table->name << " m " << m << " n " << n << " k " << k;
    }
  }
};

TEST(GemmU8S8, ExactForEverySize) {
  for (size_t m = 1; m <= 13; ++m) {
    for (const size_t n : {1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 128, 192}) {
      for (const size_t k : {1, 2, 3, 4, 5, 7, 63, 64, 65}) {
        Problem problem(m, n, k, (m + n) % 3);
        problem.pack();
        problem.expect_exact((m + k) % 2);
      }
    }
  }
}

// Rows of one and of two tiles of sixteen, and depths that tiles divide in one, two and more parts,
// or do not.
TEST(GemmU8S8, ExactForEveryTile) {
  for (const size_t m : {4, 15, 16, 17, 31, 32, 33, 48, 49, 70}) {
    for (const size_t n : {64, 100, 192}) {
      for (const size_t k : {28, 32, 36, 60, 64, 68, 96, 100, 160, 256}) {
        Problem problem(m, n, k, (m + n) % 3);
        problem.pack();
        problem.expect_exact((m + k) % 2);
      }
    }
  }
}

TEST(GemmU8S8, NoDepthGivesZeros) {
  for (const size_t m : {1, 5, 40}) {
    Problem problem(m, 70, 0, 1);
    problem.pack();
    problem.expect_exact(1);
  }
}

TEST(GemmU8S8, ExactForModelSizes) {
  for (const size_t m : {1, 13}) {
    for (const size_t n : {64, 192, 1024}) {
      for (const size_t k : {1024, 3072}) {
        Problem problem(m, n, k);
        problem.pack();
        problem.expect_exact(1);
      }
    }
  }
}

// 255 * 127 + 255 * 127 does not fit 16 bits: vpmaddubsw would say 32767.
TEST(GemmU8S8, NeverSaturates) {
  for (const int b : {127, -127, -128}) {
    Problem problem(7, 70, 3072);
    problem.a.fill(255);
    problem.zero.fill(0);
    problem.b.fill(static_cast<int8_t>(b));
    problem.pack();
    problem.expect_exact(0);
    EXPECT_EQ(problem.run(*test::tables().back(), 0)[0], 255 * b * 3072);
  }
}

TEST(GemmU8S8, ExactUpToTheLimitOnK) {
  constexpr size_t kLimit = 65793;  // 2^31 / (255 * 128), rounded down
  Problem problem(2, 9, kLimit);
  problem.a.fill(255);
  problem.zero.fill(0);
  problem.b.fill(-128);
  problem.pack();
  problem.expect_exact(0);
  problem.a.fill(0);
  problem.zero.fill(255);
  problem.expect_exact(1);
}

TEST(GemmU8S8, ARowOfItsZeroPointGivesZeros) {
  Problem problem(6, 64, 100);
  problem.a.fill(128);
  problem.zero.fill(128);
  problem.pack();
  for (const Table* table : test::tables()) {
    const auto c = problem.run(*table, 0);
    for (size_t i = 0; i < c.size(); ++i) EXPECT_EQ(c[i], 0) << table->name;
  }
}

class GemmU8S8Split : public testing::TestWithParam<std::pair<size_t, size_t>> {};
// m and k: in tiles too.
INSTANTIATE_TEST_SUITE_P(Sizes, GemmU8S8Split,
                         testing::Values(std::pair(7, 50), std::pair(7, 96), std::pair(40, 96)));

TEST_P(GemmU8S8Split, ColumnsMayBeSplit) {
  Problem problem(GetParam().first, 200, GetParam().second);
  problem.pack();
  const auto want = problem.run(kRef, 1);
  for (const Table* table : test::tables()) {
    Guarded<int32_t> c(want.size());
    c.fill(-777);
    for (const auto& [from, to] : {std::pair<size_t, size_t>{64, 128}, {128, 200}, {0, 64}}) {
      table->gemm_u8s8_s32(problem.m, from, to, problem.k, problem.a.data(), problem.lda,
                           problem.zero.data(), 1, problem.packed.data(), problem.sums.data(),
                           c.data(), problem.ldc);
      if (from == 64) {
        EXPECT_EQ(c[63], -777);
        EXPECT_EQ(c[128], -777);
      }
    }
    EXPECT_TRUE(test::same_bytes(want, c)) << table->name;
  }
}

TEST(PackS8, LayoutAndSums) {
  for (const size_t k : {1, 4, 6, 9}) {
    for (const size_t n : {1, 63, 64, 70}) {
      Random random(k * 100 + n);
      Guarded<int8_t> b(k * n);
      for (int8_t& x : b.span()) x = static_cast<int8_t>(random.bits());
      for (const bool transposed : {false, true}) {
        Guarded<int8_t> packed(packed_s8_bytes(k, n));
        packed.fill(99);
        Guarded<int32_t> sums(n);
        pack_s8(k, n, b.data(), transposed ? 1 : n, transposed ? k : 1, packed.data(), sums.data());
        for (size_t i = 0; i < packed.size(); ++i) {
          const size_t quads = (k + 3) / 4;
          const size_t column = i / (quads * 256) * 64 + i / 4 % 64;
          const size_t p = i / 256 % quads * 4 + i % 4;
          const int want =
              column < n && p < k ? b[transposed ? column * k + p : p * n + column] : 0;
          ASSERT_EQ(packed[i], want) << k << " " << n << " " << i;
        }
        for (size_t j = 0; j < n; ++j) {
          int sum = 0;
          for (size_t p = 0; p < k; ++p) sum += b[transposed ? j * k + p : p * n + j];
          ASSERT_EQ(sums[j], sum);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
