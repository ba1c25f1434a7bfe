#include "passes/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace octavo {
namespace {

std::vector<double> matrix(const Rotation& rotation) {
  const size_t n = rotation.width();
  std::vector<double> rows(n * n);
  for (size_t i = 0; i < n; ++i) {
    rows[i * n + i] = 1;
    rotation.apply({&rows[i * n], n});
  }
  return rows;
}

TEST(Rotation, IsOrthogonalAndSpreadsEveryChannel) {
  for (const size_t n : {1U, 2U, 9U, 24U, 64U, 72U, 576U}) {
    SCOPED_TRACE(n);
    const auto r = matrix(Rotation(n));
    double largest = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (size_t k = 0; k < n; ++k) dot += r[i * n + k] * r[j * n + k];
        EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-12);
      }
      for (size_t k = 0; k < n; ++k) largest = std::max(largest, std::abs(r[i * n + k]));
    }
    // A cosine's largest value is sqrt(2) times its mean square.
    EXPECT_LE(largest, std::sqrt(2.0 / static_cast<double>(n)) + 1e-12);
  }
}

TEST(Rotation, TransposedIsTheWayBack) {
  const Rotation rotation(24);
  const auto back = transposed(rotation);
  ASSERT_TRUE(back);
  const auto r = matrix(rotation);
  for (size_t i = 0; i < 24; ++i)
    for (size_t j = 0; j < 24; ++j)
      EXPECT_FLOAT_EQ(back->values<float>()[j * 24 + i], static_cast<float>(r[i * 24 + j]));
}

// Against plain sums: R' diag(gain) W, and W R.
TEST(Rotation, TurnsEitherAxisOfAWeight) {
  constexpr size_t kRows = 12;
  constexpr size_t kColumns = 5;
  std::vector<float> w(kRows * kColumns);
  for (size_t i = 0; i < w.size(); ++i) w[i] = std::sin(static_cast<float>(i) * 1.7F);
  std::vector<float> gain(kRows);
  for (size_t i = 0; i < kRows; ++i) gain[i] = 0.5F + static_cast<float>(i);
  const Rotation rotation(kRows);
  const auto r = matrix(rotation);

  const auto read = rotated(Tensor::of<float>({kRows, kColumns}, w), 0, gain, rotation);
  ASSERT_TRUE(read);
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t j = 0; j < kColumns; ++j) {
      double sum = 0;
      for (size_t k = 0; k < kRows; ++k) sum += r[k * kRows + i] * gain[k] * w[k * kColumns + j];
      EXPECT_NEAR(read->values<float>()[i * kColumns + j], sum, 1e-6);
    }
  }
  const auto write = rotated(Tensor::of<float>({kColumns, kRows}, w), 1, {}, rotation);
  ASSERT_TRUE(write);
  for (size_t i = 0; i < kColumns; ++i) {
    for (size_t j = 0; j < kRows; ++j) {
      double sum = 0;
      for (size_t k = 0; k < kRows; ++k) sum += w[i * kRows + k] * r[k * kRows + j];
      EXPECT_NEAR(write->values<float>()[i * kRows + j], sum, 1e-6);
    }
  }
  EXPECT_FALSE(rotated(Tensor::of<float>({kColumns, kRows}, w), 0, {}, rotation));
}

}  // namespace
}  // namespace octavo
