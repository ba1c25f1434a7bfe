// Against GPTQ as its paper spells it: inverse of H, one row after the other, what is left updated.

#include "passes/compensated_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace octavo {
namespace {

struct Case {
  size_t k, n, rows;
  std::vector<float> x, w;
};

// Inputs that go together, as those of a network do; otherwise there is nothing to make up for.
Case random_case(size_t k, size_t n, size_t rows, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Case c{k, n, rows, std::vector<float>(rows * k), std::vector<float>(k * n)};
  std::vector<float> mix(k * k);
  for (float& m : mix) m = normal(random);
  for (size_t r = 0; r < rows; ++r) {
    std::vector<float> z(k);
    for (size_t i = 0; i < k; ++i) z[i] = normal(random) / static_cast<float>(1 + i);
    for (size_t i = 0; i < k; ++i)
      for (size_t j = 0; j < k; ++j) c.x[r * k + i] += mix[i * k + j] * z[j];
  }
  for (float& w : c.w) w = normal(random);
  return c;
}

std::vector<double> moments_of(const Case& c, double noise) {
  std::vector<double> h(c.k * c.k);
  for (size_t r = 0; r < c.rows; ++r)
    for (size_t i = 0; i < c.k; ++i)
      for (size_t j = 0; j < c.k; ++j)
        h[i * c.k + j] += double{c.x[r * c.k + i]} * c.x[r * c.k + j];
  double trace = 0;
  for (size_t i = 0; i < c.k; ++i) trace += h[i * c.k + i];
  for (size_t i = 0; i < c.k; ++i) h[i * c.k + i] += noise * trace / static_cast<double>(c.k);
  return h;
}

std::vector<float> scales_of(const Case& c) {
  std::vector<float> scale(c.n);
  for (size_t j = 0; j < c.n; ++j) {
    float top = 0;
    for (size_t i = 0; i < c.k; ++i) top = std::max(top, std::abs(c.w[i * c.n + j]));
    scale[j] = static_cast<float>(2 * double{top} / 254);
  }
  return scale;
}

// Gauss-Jordan; small and positive matrices only.
std::vector<double> inverse(std::vector<double> a, size_t k) {
  std::vector<double> b(k * k);
  for (size_t i = 0; i < k; ++i) b[i * k + i] = 1;
  for (size_t p = 0; p < k; ++p) {
    const double pivot = a[p * k + p];
    for (size_t j = 0; j < k; ++j) {
      a[p * k + j] /= pivot;
      b[p * k + j] /= pivot;
    }
    for (size_t i = 0; i < k; ++i) {
      const double f = a[i * k + p];
      if (i == p || f == 0) continue;
      for (size_t j = 0; j < k; ++j) {
        a[i * k + j] -= f * a[p * k + j];
        b[i * k + j] -= f * b[p * k + j];
      }
    }
  }
  return b;
}

// After each row the inverse loses that row, and the rows that remain take its error.
std::vector<double> gptq(const Case& c, double noise) {
  const size_t k = c.k;
  const std::vector<double> h = moments_of(c, noise);
  std::vector<size_t> left(k);
  std::iota(left.begin(), left.end(), size_t{0});
  std::stable_sort(left.begin(), left.end(),
                   [&](size_t a, size_t b) { return h[a * k + a] > h[b * k + b]; });
  const std::vector<float> scale = scales_of(c);
  std::vector<double> w(c.w.begin(), c.w.end());
  while (!left.empty()) {
    std::vector<double> sub(left.size() * left.size());
    for (size_t i = 0; i < left.size(); ++i)
      for (size_t j = 0; j < left.size(); ++j) sub[i * left.size() + j] = h[left[i] * k + left[j]];
    const std::vector<double> inv = inverse(sub, left.size());
    for (size_t j = 0; j < c.n; ++j) {
      const double given = w[left[0] * c.n + j];
      const double q = std::clamp(std::nearbyint(given / scale[j]), -127.0, 127.0) * scale[j];
      for (size_t i = 1; i < left.size(); ++i)
        w[left[i] * c.n + j] -= (given - q) * inv[i] / inv[0];
      w[left[0] * c.n + j] = q;
    }
    left.erase(left.begin());
  }
  return w;
}

Tensor rounded(const Case& c, double noise, int threads,
               size_t sweeps = CompensatedRounding::kSweeps) {
  ThreadPool pool(threads);
  SecondMoments moments(c.k);
  moments.add(c.x.data(), c.rows / 2, pool);
  moments.add(c.x.data() + c.rows / 2 * c.k, c.rows - c.rows / 2, pool);
  moments.finish(pool);
  auto rounding = CompensatedRounding::create(moments, noise, pool);
  EXPECT_TRUE(rounding) << rounding.error().message;
  auto out = rounding->round(
      Tensor::of<float>({static_cast<int64_t>(c.k), static_cast<int64_t>(c.n)}, c.w), pool, sweeps);
  EXPECT_TRUE(out) << out.error().message;
  return *std::move(out);
}

double error_of(const Case& c, std::span<const float> q) {
  double sum = 0;
  for (size_t r = 0; r < c.rows; ++r)
    for (size_t j = 0; j < c.n; ++j) {
      double y = 0;
      for (size_t i = 0; i < c.k; ++i)
        y += c.x[r * c.k + i] * (double{c.w[i * c.n + j]} - q[i * c.n + j]);
      sum += y * y;
    }
  return sum;
}

TEST(CompensatedRounding, IsThatOfThePaper) {
  for (const size_t k : {1, 2, 5, 31, 33, 70}) {
    const Case c = random_case(k, 9, 3 * k + 5, static_cast<unsigned>(k));
    const Tensor got = rounded(c, 0.01, 2, 0);
    const std::vector<double> wanted = gptq(c, 0.01);
    const std::vector<float> scale = scales_of(c);
    size_t differ = 0;
    for (size_t i = 0; i < k * c.n; ++i)
      differ += std::abs(got.data<float>()[i] - wanted[i]) > 0.1 * scale[i % c.n];
    // The row of a column's largest weight stays here, and a tie may fall to the other side.
    EXPECT_LE(differ, k * c.n / 12) << k;
  }
}

TEST(CompensatedRounding, LosesLessThanPlainRounding) {
  const Case c = random_case(96, 40, 400, 3);
  const std::vector<float> scale = scales_of(c);
  std::vector<float> plain(c.w.size());
  for (size_t i = 0; i < plain.size(); ++i)
    plain[i] = std::nearbyint(c.w[i] / scale[i % c.n]) * scale[i % c.n];
  const Tensor got = rounded(c, 0.01, 2);
  const std::span<const float> values = got.values<float>();
  EXPECT_LT(error_of(c, values), 0.5 * error_of(c, plain));
  // On the grid of the same scales, so that quantizing it again changes nothing.
  for (size_t j = 0; j < c.n; ++j) {
    float top = 0;
    for (size_t i = 0; i < c.k; ++i) top = std::max(top, std::abs(values[i * c.n + j]));
    EXPECT_FLOAT_EQ(top, 127 * scale[j]);
    for (size_t i = 0; i < c.k; ++i) {
      const float steps = values[i * c.n + j] / scale[j];
      EXPECT_NEAR(steps, std::nearbyint(steps), 1e-3);
    }
  }
}

// (w - q)' H (w - q), a column.
std::vector<double> energies(const Case& c, double noise, std::span<const float> q) {
  const std::vector<double> h = moments_of(c, noise);
  std::vector<double> out(c.n);
  const auto error = [&](size_t i, size_t j) { return double{c.w[i * c.n + j]} - q[i * c.n + j]; };
  for (size_t j = 0; j < c.n; ++j)
    for (size_t a = 0; a < c.k; ++a)
      for (size_t b = 0; b < c.k; ++b) out[j] += error(a, j) * h[a * c.k + b] * error(b, j);
  return out;
}

TEST(CompensatedRounding, NoSingleStepIsLeftThatWouldHelp) {
  const Case c = random_case(70, 12, 300, 6);
  const std::vector<float> scale = scales_of(c);
  const Tensor once = rounded(c, 0.01, 2, 0);
  const Tensor got = rounded(c, 0.01, 2, 100);
  // As it is used: most of the gain.
  const std::vector<double> used = energies(c, 0.01, rounded(c, 0.01, 2).values<float>());
  const std::vector<double> before = energies(c, 0.01, once.values<float>());
  const std::vector<double> after = energies(c, 0.01, got.values<float>());
  for (size_t j = 0; j < c.n; ++j) EXPECT_LE(after[j], before[j] * 1.0001) << j;
  const auto sum = [](const std::vector<double>& of) {
    return std::accumulate(of.begin(), of.end(), 0.0);
  };
  EXPECT_LT(sum(after), 0.99 * sum(before));
  EXPECT_LT(sum(used) - sum(after), 0.2 * (sum(before) - sum(after)));
  // The change of energy by a step of one number, from the slope in double.
  const std::vector<double> h = moments_of(c, 0.01);
  for (size_t j = 0; j < c.n; ++j) {
    size_t top = 0;
    for (size_t i = 0; i < c.k; ++i)
      if (std::abs(c.w[i * c.n + j]) > std::abs(c.w[top * c.n + j])) top = i;
    for (size_t i = 0; i < c.k; ++i) {
      const float at = got.data<float>()[i * c.n + j];
      double slope = 0;
      for (size_t b = 0; b < c.k; ++b)
        slope += h[i * c.k + b] * (double{c.w[b * c.n + j]} - got.data<float>()[b * c.n + j]);
      for (const double step : {double{scale[j]}, -double{scale[j]}}) {
        if (i == top || std::abs(at + step) > 127.5 * scale[j]) continue;
        const double change = -2 * step * slope + step * step * h[i * c.k + i];
        EXPECT_GE(change, -1e-3 * after[j]) << i << " of column " << j;
      }
    }
  }
}

TEST(CompensatedRounding, ThreadsChangeNothing) {
  const Case c = random_case(75, 130, 200, 4);
  const Tensor one = rounded(c, 0.01, 1);
  const Tensor four = rounded(c, 0.01, 4);
  EXPECT_TRUE(std::ranges::equal(one.values<float>(), four.values<float>()));
}

TEST(CompensatedRounding, NothingToLearnFromIsAnError) {
  ThreadPool pool(1);
  const SecondMoments none(4);
  EXPECT_EQ(CompensatedRounding::create(none, 0.01, pool).error().code, Code::invalid_input);
  const Case c = random_case(4, 2, 9, 5);
  SecondMoments moments(4);
  moments.add(c.x.data(), c.rows, pool);
  moments.finish(pool);
  const auto rounding = CompensatedRounding::create(moments, 0.01, pool);
  ASSERT_TRUE(rounding);
  const Tensor wrong = Tensor::of<float>({2, 4}, c.w);
  EXPECT_EQ(rounding->round(wrong, pool).error().code, Code::internal);
}

}  // namespace
}  // namespace octavo
