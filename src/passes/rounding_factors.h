#pragma once
// SmoothQuant's factors where the rounding of the weights is what counts, because activations have
// 16 bits.
//
// Column k of s W is rounded in steps of max_j s_j |W_jk| / 127, and what row j of it is rounded by
// meets X_j / s_j. With e_j the mean over the tokens of calibration of X_j^2, each token divided by
// its root mean square so that none counts more than another, that is noise of the energy
//
//   E(s) = 1 / (12 * 127^2) * sum_k max_j (s_j W_jk)^2 * sum_j e_j / s_j^2
//
// which is convex in log s. At its minimum each row has the same share in the steps of the columns
// as in the noise. A factor that only one column's largest number asks for is raised until others
// ask for it, too: no power of two maxima says that, which is why there is no alpha here.

#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "passes/channel_map.h"
#include "tensor/tensor.h"

namespace octavo {

// |w| of all weights that read one X, as many rows as X has channels: a copy, so that a weight can
// be let go of before the next is loaded.
class WeightRows {
 public:
  // Columns that are worked on together: 1,536 rows of 64 floats stay in a core's own cache.
  static constexpr size_t kColumns = 64;

  explicit WeightRows(size_t channels)
      : channels_(channels), squares_(channels), largest_(channels) {}
  // Preconditions: float32, two axes, the channels along `axis`.
  void add(const Tensor& weight, size_t axis);

  size_t blocks() const { return blocks_.size(); }
  // [channels][kColumns], filled up with zeros.
  std::span<const float> block(size_t b) const { return blocks_[b]; }
  // Of the rows as they were added: sums of squares, and the largest number.
  std::span<const double> squares() const { return squares_; }
  std::span<const float> largest() const { return largest_; }
  // Its numbers in all blocks.
  void clear_row(size_t channel);

 private:
  size_t channels_;
  std::vector<double> squares_;
  std::vector<float> largest_;
  std::vector<std::vector<float>> blocks_;
};

// s. energy: e_j, not below 0; tied channels get one factor. Channels without energy, or whose
// weights are all zero (or denormal) or no numbers, get 1 and are passed over; s is kept within
// 2^-20 .. 2^20, and such that the steps of all columns together stay what they were. The same bits
// on every CPU and with any number of threads: sums in one order, no function but the square root.
std::vector<float> rounding_factors(WeightRows weights, std::span<const float> energy,
                                    std::span<const ChannelTie> ties, ThreadPool& pool);

// 12 * 127^2 E(s), for tests.
double rounding_energy(const WeightRows& weights, std::span<const float> energy,
                       std::span<const float> factors);

}  // namespace octavo
