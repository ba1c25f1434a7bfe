#include "passes/rounding_factors.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <functional>

#include "base/float_environment.h"
#include "passes/channel_classes.h"
#include "passes/smoothquant.h"

namespace octavo {

namespace {

constexpr size_t kColumns = WeightRows::kColumns;
constexpr size_t kLanes = 16;
// Rounds of the fixed point. From the balance of row length and energy, E of MiniLM's inputs is
// within 1e-3 of where 240 rounds bring it after 30; after 20 within 1e-2.
constexpr int kRounds = 30;
// The maximum over j is the 32-norm of s_j |W_jk| (16 of their squares): smooth, and its minimum
// has an E within 1% of what a norm of twice the order finds in 4 times the rounds.
constexpr int kRootsOfNorm = 4;
// A row may change its share by this factor in a round, before the root: its s by 1.19.
constexpr double kLargestRatio = 256;
// Squares below this share of a column's largest count as that: their 16th power, 2^-96, is
// nothing, and times a column's step no subnormal number, which would cost hundreds of cycles.
constexpr float kSmallestShare = 0x1p-6F;
// The largest squared step of all columns is about 1. Columns below this have no say; their part in
// E is as small.
constexpr float kSmallestStep = 0x1p-29F;

float power_of_norm(float u) {
  u = u > kSmallestShare ? u : kSmallestShare;
  const float u2 = u * u;
  const float u4 = u2 * u2;
  const float u8 = u4 * u4;
  return u8 * u8;
}

// x^(1 / 2^times).
double repeated_root(double x, int times) {
  for (int i = 0; i < times; ++i) x = std::sqrt(x);
  return x;
}

using Columns = std::array<float, kColumns>;

Columns largest_squares(std::span<const float> block, std::span<const float> factors) {
  Columns top{};
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block.data() + j * kColumns;
    for (size_t k = 0; k < kColumns; ++k) {
      const float v = w[k] * factors[j];
      top[k] = std::max(top[k], v * v);
    }
  }
  return top;
}

// Each row's share in the squared steps of the block's columns: columns from the first lane to the
// last, in an order that no vector length changes.
void find_shares(std::span<const float> block, std::span<const float> factors,
                 std::span<double> shares) {
  const Columns top = largest_squares(block, factors);
  Columns inverse{}, sum{}, weight{};
  for (size_t k = 0; k < kColumns; ++k)
    inverse[k] = top[k] >= kSmallestStep && top[k] <= FLT_MAX ? 1 / top[k] : 0;
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block.data() + j * kColumns;
    for (size_t k = 0; k < kColumns; ++k) {
      const float v = w[k] * factors[j];
      sum[k] += power_of_norm(v * v * inverse[k]);
    }
  }
  for (size_t k = 0; k < kColumns; ++k)
    weight[k] = inverse[k] > 0 ? static_cast<float>(double{top[k]} *
                                                    repeated_root(double{sum[k]}, kRootsOfNorm) /
                                                    double{sum[k]})
                               : 0;
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block.data() + j * kColumns;
    std::array<float, kLanes> lanes{};
    for (size_t k = 0; k < kColumns; k += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const float v = w[k + l] * factors[j];
        lanes[l] += power_of_norm(v * v * inverse[k + l]) * weight[k + l];
      }
    }
    shares[j] = 0;
    for (const float lane : lanes) shares[j] += double{lane};
  }
}

float larger(float a, float b) { return std::max(a, b); }

// Of the squared steps of all columns, from 0 and in their order.
template <class Join>
double joined_steps(const WeightRows& weights, std::span<const float> factors, const Join& join) {
  double all = 0;
  for (size_t b = 0; b < weights.blocks(); ++b)
    for (const float top : largest_squares(weights.block(b), factors)) all = join(all, double{top});
  return all;
}

double steps(const WeightRows& weights, std::span<const float> factors) {
  return joined_steps(weights, factors, std::plus<double>());
}

double largest_step(const WeightRows& weights, std::span<const float> factors) {
  return joined_steps(weights, factors, [](double a, double b) { return std::max(a, b); });
}

class Solver {
 public:
  Solver(WeightRows weights, std::span<const float> energy, std::span<const ChannelTie> ties,
         ThreadPool& pool)
      : weights_(std::move(weights)),
        classes_(energy.size(), ties),
        energy_(energy.begin(), energy.end()),
        factors_(energy.size(), 1.0),
        pool_(pool) {
    energy_ = classes_.joined<double>(energy_, std::plus<double>());
    const auto squares = classes_.joined<double>(weights_.squares(), std::plus<double>());
    const auto largest = classes_.joined<float>(weights_.largest(), &larger);
    for (size_t j = 0; j < factors_.size(); ++j) {
      usable_.push_back(energy_[j] >= FLT_MIN && largest[j] >= FLT_MIN &&
                        std::isfinite(energy_[j]) && std::isfinite(squares[j]));
      if (usable_[j]) factors_[j] = std::sqrt(std::sqrt(energy_[j] / squares[j]));
      // Its factor is 1 whatever the others are: what they are must not hang on its size.
      if (!usable_[j]) weights_.clear_row(j);
    }
  }

  std::vector<float> solve() {
    const double before = steps(weights_, std::vector<float>(factors_.size(), 1.0F));
    multiply(1 / std::sqrt(largest_step(weights_, rounded())));
    for (int round = 0; round < kRounds; ++round) step();
    // The weights keep their size on the whole; E does not see a common factor.
    multiply(std::sqrt(before / steps(weights_, rounded())));
    for (double& s : factors_) s = std::clamp(s, 1 / kLargestScale, kLargestScale);
    return rounded();
  }

 private:
  std::vector<float> rounded() const { return {factors_.begin(), factors_.end()}; }

  void multiply(double common) {
    if (!(common > 0) || !std::isfinite(common)) return;  // weights that say nothing
    for (size_t j = 0; j < factors_.size(); ++j)
      if (usable_[j]) factors_[j] *= common;
  }

  void step() {
    const std::vector<float> factors = rounded();
    const size_t channels = factors.size();
    // A row of sums a block, so that they are added in one order.
    std::vector<double> parts(weights_.blocks() * channels);
    pool_.parallel_for(weights_.blocks(), 1, [&](size_t begin, size_t end) {
      const FloatEnvironment environment;
      for (size_t b = begin; b < end; ++b)
        find_shares(weights_.block(b), factors, {&parts[b * channels], channels});
    });
    std::vector<double> shares(channels);
    for (size_t b = 0; b < weights_.blocks(); ++b)
      for (size_t j = 0; j < channels; ++j) shares[j] += parts[b * channels + j];
    shares = classes_.joined<double>(shares, std::plus<double>());
    double all_shares = 0, all_noise = 0;
    std::vector<double> noise(channels);
    for (size_t j = 0; j < channels; ++j) {
      if (!usable_[j]) continue;
      noise[j] = energy_[j] / (factors_[j] * factors_[j]);
      if (classes_.of(j) != j) continue;  // once a class
      all_shares += shares[j];
      all_noise += noise[j];
    }
    if (!(all_shares > 0) || !(all_noise > 0) || !std::isfinite(all_noise)) return;
    for (size_t j = 0; j < channels; ++j) {
      if (!usable_[j]) continue;
      const double share = std::max(shares[j] / all_shares, DBL_MIN);
      const double ratio =
          std::clamp(noise[j] / all_noise / share, 1 / kLargestRatio, kLargestRatio);
      // s^2 by the 16th root: what changes the norm's 16th power of squares by the ratio itself.
      factors_[j] *= repeated_root(ratio, kRootsOfNorm + 1);
    }
  }

  WeightRows weights_;
  ChannelClasses classes_;
  std::vector<double> energy_;  // of the class
  std::vector<double> factors_;
  std::vector<char> usable_;
  ThreadPool& pool_;
};

}  // namespace

void WeightRows::add(const Tensor& weight, size_t axis) {
  const FloatEnvironment environment;
  const auto columns = static_cast<size_t>(weight.shape()[1 - axis]);
  const float* w = weight.data<float>();
  const auto squares = squares_along(weight, axis);
  const auto largest = absmax_along(weight, axis);
  std::transform(squares.begin(), squares.end(), squares_.begin(), squares_.begin(),
                 std::plus<double>());
  std::transform(largest.begin(), largest.end(), largest_.begin(), largest_.begin(), &larger);
  for (size_t first = 0; first < columns; first += kColumns) {
    std::vector<float>& block = blocks_.emplace_back(channels_ * kColumns);
    const size_t count = std::min(kColumns, columns - first);
    for (size_t j = 0; j < channels_; ++j)
      for (size_t k = 0; k < count; ++k)
        block[j * kColumns + k] =
            std::abs(axis == 0 ? w[j * columns + first + k] : w[(first + k) * channels_ + j]);
  }
}

void WeightRows::clear_row(size_t channel) {
  for (std::vector<float>& block : blocks_)
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(channel * kColumns), kColumns, 0.0F);
}

std::vector<float> rounding_factors(WeightRows weights, std::span<const float> energy,
                                    std::span<const ChannelTie> ties, ThreadPool& pool) {
  const FloatEnvironment environment;
  return Solver(std::move(weights), energy, ties, pool).solve();
}

double rounding_energy(const WeightRows& weights, std::span<const float> energy,
                       std::span<const float> factors) {
  double noise = 0;
  for (size_t j = 0; j < energy.size(); ++j)
    noise += double{energy[j]} / (double{factors[j]} * double{factors[j]});
  return steps(weights, factors) * noise;
}

}  // namespace octavo
