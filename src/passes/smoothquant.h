#pragma once
// SmoothQuant (Xiao et al., 2023, arXiv 2211.10438).
//
//   before:  Y_i = X W_i                      for every constant-weight MatMul that reads X
//   after:   Y_i = (X / s)(s W_i)             s_j = x_j^alpha / w_j^(1 - alpha)
//
//   for one scale an activation:  x_j = max|X_j|        w_j = max_i,k |W_i,jk|    (the paper's)
//   for a scale a token:          x_j = channel_share   w_j = (max_i,k |W_i,jk| length_j)^(1/2)
//                                                       length_j = (sum_i,k W_i,jk^2)^(1/2)
//
// With a scale a token, the rounding of X / s adds to a column of Y_i noise of the energy
// step^2 / 12 * sum_j s_j^2 W_jk^2: a row of the weights counts by its length, and the step follows
// from the token's own channels, not from the largest of all texts. The rounding of s W has its
// step from the column's largest number: there a row counts by that. Hence the mean of both.
//
// For activations of 16 bits only the rounding of s W is left: passes/rounding_factors.h, where
// channel_energy is given.
//
// 1/s is written into the constants that make X wherever that changes nothing else (a norm's gain,
// the columns of the MatMul above, ...: ChannelTrace), and is an explicit Mul before the group
// where it can't be. The model's function stays the same; what changes is how well one scale fits a
// whole activation. Every weight is rewritten when its bytes are asked for, one tensor at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "passes/calibration_stats.h"
#include "passes/channel_trace.h"

namespace octavo {

// One MatMul or Gemm of a group.
struct SmoothWeight {
  size_t node;       // the MatMul
  Edge edge;         // that reads the constant: the MatMul's own, or that of a Transpose before it
  std::string name;  // of the constant
  size_t axis;       // of the constant, along which the input channels lie
};

// MatMuls that read the same value, directly or through ops that only regroup its other axes.
struct SmoothGroup {
  std::string input;  // the value they share; its last axis holds the channels
  int64_t channels = 0;
  std::vector<SmoothWeight> weights;
  std::vector<Edge> readers;  // of `input`, on the way to the weights
};

struct SmoothGroups {
  std::vector<SmoothGroup> groups;   // in the order in which they run
  std::vector<std::string> skipped;  // "node: reason", MatMuls and Gemms that belong to no group
};

// Errors: invalid_input when the graph has a cycle.
Result<SmoothGroups> find_smooth_groups(const Graph& graph, const ValueShapes& shapes);

struct SmoothedGroup {
  std::string input;
  std::vector<std::string> weights;
  std::vector<std::string> nodes;
  std::string folded_into;      // "gain a.weight + bias a.bias", "explicit Mul"
  std::string refusal;          // why it is explicit
  std::string value;            // that now holds X / s: `input` itself when folded
  std::optional<double> alpha;  // none where the weights alone decide
  std::vector<float> scale;     // s
  double outlier_before = 1;    // outlier_ratio() of X
  double outlier_after = 1;     // and of X / s
};

// Rewrites the model. groups must come from this very graph; every group needs an entry of its size
// in stats.channel_absmax (and in channel_energy or channel_share, unless that is empty), and one
// of `alphas`, which say nothing where there is channel_energy. pool: null for none.
// Errors: invalid_input (an alpha outside 0..1, a missing entry), and what loading weights meets.
Result<std::vector<SmoothedGroup>> smoothquant(Model& model, const SmoothGroups& groups,
                                               const CalibrationStats& stats,
                                               std::span<const double> alphas,
                                               const std::shared_ptr<ThreadPool>& pool = {});
// One alpha for all groups.
Result<std::vector<SmoothedGroup>> smoothquant(Model& model, const SmoothGroups& groups,
                                               const CalibrationStats& stats, double alpha);

// --- the arithmetic, for tests and reports ---

// max |w| for every index of `axis`. Precondition: float32, axis < rank.
std::vector<float> absmax_along(const Tensor& weight, size_t axis);
// Sum of w^2 for every index of `axis`. The same precondition.
std::vector<double> squares_along(const Tensor& weight, size_t axis);
// s of one group; tied channels share the largest of their class. Channels that calibration never
// saw active, or whose weights are all zero (or denormal), get 1: there is nothing to balance, and
// any other number would amplify what a later text puts there. s is kept within 2^-20 .. 2^20, so
// that X / s and s W stay finite.
inline constexpr double kLargestScale = 0x1p20;
std::vector<float> smoothing_scale(std::span<const float> activation, std::span<const float> weight,
                                   double alpha, std::span<const ChannelTie> ties = {});
// max / median of the channel maxima that are not zero; 1 when all are.
double outlier_ratio(std::span<const float> absmax);

// --- shared by the pass's files ---

struct ScaledEdit {
  Edge edge;
  ChannelMap map;
  bool multiply = false;
  std::shared_ptr<const std::vector<float>> scale;  // by channel
};
// The constant after its edits, in the order given; rounded once.
Result<Tensor> scale_constant(const Tensor& constant, std::span<const ScaledEdit> edits);

// An explicit Mul to insert in front of its readers.
struct ExplicitMul {
  std::string input;
  std::string output;
  std::vector<Edge> readers;
  std::shared_ptr<const std::vector<float>> scale;
};
// Changes constants where they have no other reader, copies of them otherwise, and inserts the
// Muls.
Status apply_smoothing(Model& model, const std::vector<ScaledEdit>& edits,
                       const std::vector<ExplicitMul>& muls);

}  // namespace octavo
