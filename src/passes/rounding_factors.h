#pragma once
// SmoothQuant's factors where the rounding of the weights is what counts, because activations have
// 16 bits.
//
// Column k of s W is rounded in steps of max_j s_j |W_jk| / 127, and what row j of it is rounded by
// meets X_j / s_j. Over the tokens of calibration, with e_j the mean square of X_j, that is noise
// of the energy
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

// A weight with two axes whose channels lie along `axis`.
struct RowsOfWeight {
  Tensor weight;  // float32
  size_t axis = 0;
};

// s of the weights that read one X. energy: e_j, not below 0; tied channels get one factor.
// Channels without energy, or whose weights are all zero (or denormal), get 1; s is kept within
// 2^-20 .. 2^20, and such that the steps of all columns together stay what they were. The same bits
// on every CPU and with any number of threads: sums in one order, no function but the square root.
std::vector<float> rounding_factors(std::span<const RowsOfWeight> weights,
                                    std::span<const float> energy, std::span<const ChannelTie> ties,
                                    ThreadPool& pool);

// 12 * 127^2 E(s), for tests.
double rounding_energy(std::span<const RowsOfWeight> weights, std::span<const float> energy,
                       std::span<const float> factors);

}  // namespace octavo
