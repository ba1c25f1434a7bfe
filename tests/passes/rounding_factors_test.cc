// Against minima that are known in closed form, and a search that knows nothing of the fixed point.

#include "passes/rounding_factors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace octavo {
namespace {

using Factors = std::vector<float>;

struct RowsOfWeight {
  Tensor weight;
  size_t axis;
};

WeightRows rows_of(const std::vector<RowsOfWeight>& weights, size_t channels) {
  WeightRows rows(channels);
  for (const RowsOfWeight& w : weights) rows.add(w.weight, w.axis);
  return rows;
}

Factors solve(const std::vector<RowsOfWeight>& weights, const Factors& energy,
              const std::vector<ChannelTie>& ties = {}, int threads = 1) {
  ThreadPool pool(threads);
  return rounding_factors(rows_of(weights, energy.size()), energy, ties, pool);
}

double energy_of(const std::vector<RowsOfWeight>& weights, const Factors& energy,
                 const Factors& factors) {
  return rounding_energy(rows_of(weights, energy.size()), energy, factors);
}

Factors normal(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> numbers;
  Factors out(count);
  for (float& x : out) x = numbers(random);
  return out;
}

// Rows of very different sizes, read by channels of very different energy; one of the two weights
// lies the other way round.
struct Case {
  std::vector<RowsOfWeight> weights;
  Factors energy;
};

Case uneven(size_t channels, size_t columns) {
  Factors a = normal(channels * columns, 1);
  Factors b = normal(channels * columns, 2);
  Case out;
  for (size_t j = 0; j < channels; ++j) {
    const float size = std::exp(static_cast<float>(j % 7) - 3);
    for (size_t k = 0; k < columns; ++k) a[j * columns + k] *= size;
    for (size_t k = 0; k < columns; ++k) b[k * channels + j] *= size;
    out.energy.push_back(std::exp(static_cast<float>(j % 5) - 2));
  }
  const auto c = static_cast<int64_t>(channels);
  const auto n = static_cast<int64_t>(columns);
  out.weights = {{Tensor::of<float>({c, n}, a), 0}, {Tensor::of<float>({n, c}, b), 1}};
  return out;
}

TEST(RoundingFactors, OneRowAColumnHasAMinimumInClosedForm) {
  // sum (s_j w_j)^2 * sum e_j / s_j^2 is least where both go together: s_j^4 ~ e_j / w_j^2.
  const std::vector<RowsOfWeight> weights = {
      {Tensor::of<float>({4, 4}, {2, 0, 0, 0, 0, 0.5F, 0, 0, 0, 0, -8, 0, 0, 0, 0, 1}), 0}};
  const Factors energy = {4, 1, 0.25F, 81};
  const Factors s = solve(weights, energy);
  const double first = s[0] * std::sqrt(std::sqrt(4.0 / 4));
  EXPECT_NEAR(s[1], first * std::pow(1 / 0.25, 0.25), 1e-4 * s[1]);
  EXPECT_NEAR(s[2], first * std::pow(0.25 / 64, 0.25), 1e-4 * s[2]);
  EXPECT_NEAR(s[3], first * std::pow(81.0, 0.25), 1e-4 * s[3]);
  const double least = 2 * 2 + 1 * 0.5 + 0.5 * 8 + 9 * 1;
  EXPECT_NEAR(energy_of(weights, energy, s), least * least, 1e-3 * least * least);
}

TEST(RoundingFactors, WhereRowsDifferInSizeOnlyAllBecomeAlike) {
  // w_jk = a_j b_k: no row has to stay below the others.
  const Factors a = {1, 0.01F, 5, 30};
  const Factors b = normal(100, 3);
  Factors w;
  for (const float x : a)
    for (const float y : b) w.push_back(x * y);
  const std::vector<RowsOfWeight> weights = {{Tensor::of<float>({4, 100}, w), 0}};
  const Factors energy = {100, 50, 2, 1};
  const Factors s = solve(weights, energy);
  double steps = 0, least = 0;
  for (const float y : b) steps += double{y} * y;
  for (size_t j = 0; j < 4; ++j) least += double{energy[j]} * a[j] * a[j];
  EXPECT_LT(energy_of(weights, energy, s), 1.15 * steps * least);
  EXPECT_GE(energy_of(weights, energy, s), 0.999 * steps * least);
  EXPECT_LT(energy_of(weights, energy, s), 0.1 * energy_of(weights, energy, {1, 1, 1, 1}));
}

TEST(RoundingFactors, NoChannelGainsByAnotherFactor) {
  const Case c = uneven(60, 90);
  const Factors s = solve(c.weights, c.energy);
  const double found = energy_of(c.weights, c.energy, s);
  for (size_t j = 0; j < s.size(); ++j) {
    for (const float change : {0.5F, 0.8F, 0.95F, 1.05F, 1.25F, 2.0F}) {
      Factors other = s;
      other[j] *= change;
      EXPECT_GT(energy_of(c.weights, c.energy, other), 0.998 * found) << j << " " << change;
    }
  }
  // Two maxima, the other way to make them, and doing nothing.
  Factors largest(60, 0.0F), balance, one(60, 1.0F);
  for (size_t j = 0; j < 60; ++j) {
    for (size_t k = 0; k < 90; ++k)
      largest[j] = std::max({largest[j], std::abs(c.weights[0].weight.data<float>()[j * 90 + k]),
                             std::abs(c.weights[1].weight.data<float>()[k * 60 + j])});
    balance.push_back(std::sqrt(std::sqrt(c.energy[j]) / largest[j]));
  }
  EXPECT_LT(found, 0.95 * energy_of(c.weights, c.energy, balance));
  EXPECT_LT(found, 0.2 * energy_of(c.weights, c.energy, one));
}

TEST(RoundingFactors, TheWeightsKeepTheirSizeOnTheWhole) {
  const Case c = uneven(33, 70);
  const Factors s = solve(c.weights, c.energy);
  double noise = 0, before = 0;
  for (size_t j = 0; j < s.size(); ++j) {
    noise += double{c.energy[j]} / (double{s[j]} * s[j]);
    before += double{c.energy[j]};
  }
  const double steps = energy_of(c.weights, c.energy, s) / noise;
  EXPECT_NEAR(steps, energy_of(c.weights, c.energy, Factors(33, 1.0F)) / before, 1e-4 * steps);
}

// The factors of all but `without`, over that of the first: a common factor says nothing.
std::vector<double> shape_of(const Factors& s, size_t without) {
  std::vector<double> out;
  for (size_t j = 0; j < s.size(); ++j)
    if (j != without) out.push_back(double{s[j]} / double{s[0]});
  return out;
}

TEST(RoundingFactors, TheSizeOfTheWeightsDoesNotMatter) {
  const Case c = uneven(40, 70);
  Case small = c;
  for (RowsOfWeight& w : small.weights) {
    auto numbers =
        std::vector<float>(w.weight.values<float>().begin(), w.weight.values<float>().end());
    for (float& x : numbers) x *= 0x1p-40F;
    w.weight = Tensor::of<float>(w.weight.shape(), numbers);
  }
  const Factors s = solve(c.weights, c.energy);
  const auto expected = shape_of(s, 40);
  const auto found = shape_of(solve(small.weights, small.energy), 40);
  for (size_t j = 0; j < 40; ++j) EXPECT_NEAR(found[j], expected[j], 1e-5 * expected[j]) << j;
}

TEST(RoundingFactors, RowsAndColumnsThatSayNothingChangeNothing) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float none = std::numeric_limits<float>::quiet_NaN();
  const Case c = uneven(40, 70);
  const Factors s = solve(c.weights, c.energy);
  // A channel more, of each kind, and a column of next to nothing.
  for (const auto& [energy, row] : std::vector<std::pair<float, float>>{
           {0.0F, 1e6F}, {1.0F, 0.0F}, {1.0F, infinity}, {1.0F, none}}) {
    Case more = c;
    more.energy.push_back(energy);
    Factors a(c.weights[0].weight.values<float>().begin(),
              c.weights[0].weight.values<float>().end());
    Factors wide;
    for (size_t j = 0; j < 41; ++j) {
      for (size_t k = 0; k < 70; ++k) wide.push_back(j < 40 ? a[j * 70 + k] : row);
      wide.push_back(j < 40 ? 1e-20F : row);
    }
    const auto b = c.weights[1].weight.values<float>();
    Factors turned;
    for (size_t k = 0; k < 70; ++k) {
      turned.insert(turned.end(), b.begin() + static_cast<std::ptrdiff_t>(k * 40),
                    b.begin() + static_cast<std::ptrdiff_t>((k + 1) * 40));
      turned.push_back(row);
    }
    more.weights = {{Tensor::of<float>({41, 71}, wide), 0},
                    {Tensor::of<float>({70, 41}, turned), 1}};
    const Factors other = solve(more.weights, more.energy);
    EXPECT_EQ(other[40], 1) << energy << " " << row;
    const auto expected = shape_of(s, 40);
    const auto found = shape_of(other, 40);
    for (size_t j = 0; j < 40; ++j) EXPECT_NEAR(found[j], expected[j], 1e-4 * expected[j]) << j;
  }
}

TEST(RoundingFactors, ASingleLargeNumberInEveryRowIsNoTrap) {
  // Row j has 1,000 in column j and about 1 elsewhere: the best s is far from every maximum's.
  Factors w = normal(50 * 200, 9);
  Factors energy;
  for (size_t j = 0; j < 50; ++j) {
    w[j * 200 + j] = 1000;
    energy.push_back(std::pow(4.0F, static_cast<float>(j % 8)));
  }
  const std::vector<RowsOfWeight> weights = {{Tensor::of<float>({50, 200}, w), 0}};
  const Factors s = solve(weights, energy);
  const double found = energy_of(weights, energy, s);
  for (size_t j = 0; j < 50; ++j) {
    for (const float change : {0.7F, 0.9F, 1.1F, 1.4F}) {
      Factors other = s;
      other[j] *= change;
      EXPECT_GT(energy_of(weights, energy, other), 0.998 * found) << j << " " << change;
    }
  }
}

TEST(RoundingFactors, AreTheSameBitsWithAnyNumberOfThreads) {
  const Case c = uneven(48, 500);
  const Factors s = solve(c.weights, c.energy);
  for (const int threads : {2, 3, 7}) EXPECT_EQ(solve(c.weights, c.energy, {}, threads), s);
}

TEST(RoundingFactors, TiedChannelsGetOneFactorThatSuitsAll) {
  const Case c = uneven(40, 64);
  std::vector<ChannelTie> ties;
  for (int32_t j = 0; j < 20; ++j) ties.push_back({j, j + 20});
  const Factors s = solve(c.weights, c.energy, ties);
  const double found = energy_of(c.weights, c.energy, s);
  for (size_t j = 0; j < 20; ++j) {
    EXPECT_EQ(s[j], s[j + 20]);
    for (const float change : {0.8F, 1.25F}) {
      Factors other = s;
      other[j] *= change;
      other[j + 20] *= change;
      EXPECT_GT(energy_of(c.weights, c.energy, other), 0.998 * found) << j << " " << change;
    }
  }
}

TEST(RoundingFactors, ChannelsThatSayNothingStay) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<RowsOfWeight> weights = {
      {Tensor::of<float>({6, 2}, {1, 2, 3, 4, 0, 0, 1e-42F, 0, infinity, 1, 1e30F, 1}), 0}};
  const Factors s = solve(weights, {0, 1, 1, 1, 1, 1e-30F});
  EXPECT_EQ(s[0], 1);  // no energy
  EXPECT_EQ(s[2], 1);  // no weights
  EXPECT_EQ(s[3], 1);  // subnormal ones
  EXPECT_EQ(s[4], 1);
  for (const float x : s) {
    EXPECT_GE(x, 0x1p-20F);
    EXPECT_LE(x, 0x1p20F);
  }
  EXPECT_EQ(solve({{Tensor::of<float>({2, 1}, {0, 0}), 0}}, {1, 1}), (Factors{1, 1}));
  EXPECT_EQ(solve({{Tensor::of<float>({2, 0}, {}), 0}}, {1, 1}), (Factors{1, 1}));
  EXPECT_EQ(solve({}, {1, 1}), (Factors{1, 1}));
}

}  // namespace
}  // namespace octavo
