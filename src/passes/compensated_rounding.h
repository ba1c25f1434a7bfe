#pragma once
// Rounding of a weight to 8 bits that knows what it is multiplied with: what rounding one row of W
// does wrong, the rows that are not rounded yet make up for, as far as their inputs go together
// (Frantar et al., 2022, arXiv 2210.17323; in the form of Chee et al., 2023, arXiv 2307.13304).
//
//   minimize  sum over columns of (w - q)' H (w - q)     H = sum over tokens of x x'
//   H = U D U', U upper unit triangular:  q_k = round(w_k + sum_{j<k} U_jk (w_j - q_j))
//
// The first rows were rounded without knowing what the later ones would do, so all are rounded
// again, one at a time, each to the best step given all others (coordinate descent, as Behdin et
// al., 2023, arXiv 2309.01885, quantize altogether), until nothing changes, at most eight times:
//
//   q_k = round(q_k + (H (w - q))_k / H_kk)
//
// On MiniLM's weights that takes 7% off what is left after the first step. A choice among scales
// (0.97 .. 1 times the largest number) for the least energy took 1.4% more at four times the work.
//
// Scales stay those of plain rounding, so that a file of such weights has the same form. The result
// is given in float: numbers on the grid q * scale, which passes/quantize_weight.h then finds
// again.

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace octavo {

// Sum of x x' over the rows of activations that read a weight. The same numbers whatever the number
// of threads, the instruction set, and how the rows were split into calls.
class SecondMoments {
 public:
  explicit SecondMoments(size_t k) : k_(k), sums_(k * k) {}
  size_t k() const { return k_; }
  // rows x k floats.
  void add(const float* x, size_t rows, ThreadPool& pool);
  // What was added is in sums() after this.
  void finish(ThreadPool& pool);
  // [k][k], symmetric.
  std::span<const float> sums() const { return sums_; }

 private:
  size_t k_;
  std::vector<float> waiting_;  // rows that do not fill a product yet
  std::vector<float> sums_;
};

// U of one H, for all weights that read these rows.
class CompensatedRounding {
 public:
  // How often each number is rounded again at most. Half of what changes, changes in the first
  // sweep; after the fifth it is 1% of the gain.
  static constexpr size_t kSweeps = 8;
  // noise: what is added to the diagonal of H, as a share of its mean: the rounding of the
  // activations, and what few texts do not say. Errors: invalid_input when H is not positive.
  // moments: finished; read by round(), so they must live as long as this.
  static Result<CompensatedRounding> create(const SecondMoments& moments, double noise,
                                            ThreadPool& pool);
  static Result<CompensatedRounding> create(SecondMoments&&, double, ThreadPool&) = delete;
  // weight: float32 [k, n], n columns with a scale each. sweeps: 0 for the paper's rounding alone.
  // Errors: internal when k is another.
  Result<Tensor> round(const Tensor& weight, ThreadPool& pool, size_t sweeps = kSweeps) const;

 private:
  const SecondMoments* moments_ = nullptr;
  float added_ = 0;            // to the diagonal of the moments
  std::vector<size_t> order_;  // rows of the weight in the order of their rounding
  std::vector<float> u_;       // U in that order, [k][k]
};

}  // namespace octavo
