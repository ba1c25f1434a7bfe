#include "passes/rounding_factors.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <functional>

#include "base/float_environment.h"
#include "passes/channel_classes.h"

namespace octavo {

namespace {

constexpr double kLargestFactor = 0x1p20;
// Columns that are worked on together: 1,536 rows of 64 floats stay in a core's own cache.
constexpr size_t kColumns = 64;
constexpr size_t kLanes = 16;
// Rounds of the fixed point. From the balance of row length and energy, E of MiniLM's inputs is
// within 1e-3 of where 240 rounds bring it after 30; after 20 within 1e-2.
constexpr int kRounds = 30;
// The maximum over j is the 32-norm of s_j |W_jk| (16 of their squares): smooth, and its minimum
// has an E within 1% of what a norm of twice the order finds in 4 times the rounds.
constexpr int kRootsOfNorm = 4;
// A row may change its share by this factor in a round, before the root.
constexpr double kLargestRatio = 16;
// Squares below this share of a column's largest count as that: their 16th power, 2^-112, is
// nothing, and no subnormal number, which would cost hundreds of cycles.
constexpr float kSmallestShare = 0x1p-7F;

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

// The numbers of all weights, |w|, in blocks of kColumns columns (the last one filled with zeros):
// [block][channel][kColumns].
class Blocks {
 public:
  Blocks(std::span<const RowsOfWeight> weights, size_t channels) : channels_(channels) {
    size_t columns = 0;
    for (const RowsOfWeight& weight : weights)
      columns += static_cast<size_t>(weight.weight.shape()[1 - weight.axis]);
    values_.resize((columns + kColumns - 1) / kColumns * kColumns * channels);
    size_t first = 0;
    for (const RowsOfWeight& weight : weights) {
      const auto count = static_cast<size_t>(weight.weight.shape()[1 - weight.axis]);
      const float* w = weight.weight.data<float>();
      for (size_t j = 0; j < channels; ++j)
        for (size_t k = 0; k < count; ++k)
          at(first + k, j) = std::abs(weight.axis == 0 ? w[j * count + k] : w[k * channels + j]);
      first += count;
    }
  }

  size_t count() const { return values_.size() / (kColumns * std::max<size_t>(channels_, 1)); }
  const float* block(size_t b) const { return &values_[b * kColumns * channels_]; }

  // Of the rows: sums of squares, and the largest number.
  void measure(std::vector<double>& squares, std::vector<float>& largest) const {
    squares.assign(channels_, 0.0);
    largest.assign(channels_, 0.0F);
    for (size_t b = 0; b < count(); ++b) {
      for (size_t j = 0; j < channels_; ++j) {
        const float* w = block(b) + j * kColumns;
        for (size_t k = 0; k < kColumns; ++k) {
          squares[j] += double{w[k]} * w[k];
          largest[j] = std::max(largest[j], w[k]);
        }
      }
    }
  }

 private:
  float& at(size_t column, size_t channel) {
    return values_[(column / kColumns * channels_ + channel) * kColumns + column % kColumns];
  }

  size_t channels_;
  std::vector<float> values_;
};

using Columns = std::array<float, kColumns>;

Columns largest_squares(const float* block, std::span<const float> factors) {
  Columns top{};
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block + j * kColumns;
    for (size_t k = 0; k < kColumns; ++k) {
      const float v = w[k] * factors[j];
      top[k] = std::max(top[k], v * v);
    }
  }
  return top;
}

// Each row's share in the squared steps of the block's columns, added to shares[channel]: columns
// from the first lane to the last, in an order that no vector length changes.
void add_shares(const float* block, std::span<const float> factors, std::span<double> shares) {
  const Columns top = largest_squares(block, factors);
  Columns inverse{}, sum{}, weight{};
  for (size_t k = 0; k < kColumns; ++k) inverse[k] = top[k] > 0 ? 1 / top[k] : 0;
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block + j * kColumns;
    for (size_t k = 0; k < kColumns; ++k) {
      const float v = w[k] * factors[j];
      sum[k] += power_of_norm(v * v * inverse[k]);
    }
  }
  for (size_t k = 0; k < kColumns; ++k)
    weight[k] = static_cast<float>(top[k] * repeated_root(sum[k], kRootsOfNorm) / sum[k]);
  for (size_t j = 0; j < factors.size(); ++j) {
    const float* w = block + j * kColumns;
    std::array<float, kLanes> lanes{};
    for (size_t k = 0; k < kColumns; k += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const float v = w[k + l] * factors[j];
        lanes[l] += power_of_norm(v * v * inverse[k + l]) * weight[k + l];
      }
    }
    double all = 0;
    for (const float lane : lanes) all += double{lane};
    shares[j] += all;
  }
}

double steps(const Blocks& blocks, std::span<const float> factors) {
  double sum = 0;
  for (size_t b = 0; b < blocks.count(); ++b)
    for (const float top : largest_squares(blocks.block(b), factors)) sum += double{top};
  return sum;
}

class Solver {
 public:
  Solver(Blocks blocks, std::span<const float> energy, std::span<const ChannelTie> ties,
         ThreadPool& pool)
      : blocks_(std::move(blocks)),
        classes_(energy.size(), ties),
        energy_(energy.begin(), energy.end()),
        factors_(energy.size(), 1.0),
        pool_(pool) {
    std::vector<double> squares;
    std::vector<float> largest;
    blocks_.measure(squares, largest);
    energy_ = classes_.joined<double>(energy_, std::plus<double>());
    squares = classes_.joined<double>(squares, std::plus<double>());
    largest = classes_.joined<float>(largest, [](float a, float b) { return std::max(a, b); });
    for (size_t j = 0; j < factors_.size(); ++j) {
      usable_.push_back(energy_[j] >= FLT_MIN && largest[j] >= FLT_MIN &&
                        std::isfinite(energy_[j]) && std::isfinite(largest[j]));
      if (usable_[j]) factors_[j] = limited(std::sqrt(std::sqrt(energy_[j] / squares[j])));
    }
  }

  std::vector<float> solve() {
    const FloatEnvironment environment;
    const double before = steps(blocks_, std::vector<float>(factors_.size(), 1.0F));
    for (int round = 0; round < kRounds; ++round) step();
    // The weights keep their size on the whole; E does not see a common factor.
    const double after = steps(blocks_, rounded());
    const double ratio = before / after;
    const double common = ratio > 0 && std::isfinite(ratio) ? std::sqrt(ratio) : 1;
    for (size_t j = 0; j < factors_.size(); ++j)
      if (usable_[j]) factors_[j] = limited(factors_[j] * common);
    return rounded();
  }

 private:
  static double limited(double s) { return std::clamp(s, 1 / kLargestFactor, kLargestFactor); }

  std::vector<float> rounded() const { return {factors_.begin(), factors_.end()}; }

  void step() {
    const std::vector<float> factors = rounded();
    const size_t channels = factors.size();
    // A row of sums a block, so that they are added in one order.
    std::vector<double> parts(blocks_.count() * channels);
    pool_.parallel_for(blocks_.count(), 1, [&](size_t begin, size_t end) {
      const FloatEnvironment environment;
      for (size_t b = begin; b < end; ++b)
        add_shares(blocks_.block(b), factors, {&parts[b * channels], channels});
    });
    std::vector<double> shares(channels);
    for (size_t b = 0; b < blocks_.count(); ++b)
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
    // Squares that float32 does not hold have no balance; nothing is moved then.
    if (!(all_shares > 0) || !(all_noise > 0) || !std::isfinite(all_shares)) return;
    for (size_t j = 0; j < channels; ++j) {
      if (!usable_[j]) continue;
      const double share = std::max(shares[j] / all_shares, DBL_MIN);
      const double ratio =
          std::clamp(noise[j] / all_noise / share, 1 / kLargestRatio, kLargestRatio);
      // s^2 by the 16th root: what changes the norm's 16th power of squares by the ratio itself.
      factors_[j] = limited(factors_[j] * repeated_root(ratio, kRootsOfNorm + 1));
    }
  }

  Blocks blocks_;
  ChannelClasses classes_;
  std::vector<double> energy_;  // of the class
  std::vector<double> factors_;
  std::vector<char> usable_;
  ThreadPool& pool_;
};

}  // namespace

std::vector<float> rounding_factors(std::span<const RowsOfWeight> weights,
                                    std::span<const float> energy, std::span<const ChannelTie> ties,
                                    ThreadPool& pool) {
  return Solver(Blocks(weights, energy.size()), energy, ties, pool).solve();
}

double rounding_energy(std::span<const RowsOfWeight> weights, std::span<const float> energy,
                       std::span<const float> factors) {
  double noise = 0;
  for (size_t j = 0; j < energy.size(); ++j)
    noise += double{energy[j]} / (double{factors[j]} * factors[j]);
  return steps(Blocks(weights, energy.size()), factors) * noise;
}

}  // namespace octavo
