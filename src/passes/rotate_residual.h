#pragma once
// Rotation of the residual stream of models whose norms are RMSNorms (QuaRot, Ashkboos et al.,
// 2024, arXiv 2404.00456): its length, which is all that an RMSNorm takes from it, is the same in
// every orthogonal basis, and in a basis where every number is a mixture of all channels none is
// large.
//
//   before:  h = table[ids];   h = h + W_out(...);     y = (norm(h) g) W
//   after:   h = (table R)[ids]; h = h + (W_out R)(...); y = norm(h) (R' g W);   last: h R' -> norm
//
// The same function: only constants change, and one MatMul by R' comes before the last norm. What
// the linears read, norm(h), is what W8A8 rounds; the massive activations of a few channels are
// gone from it before it is rounded, which per-channel factors (SmoothQuant) cannot do for single
// tokens.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"
#include "passes/calibration_stats.h"

namespace octavo {

// The constant of the MatMul back. Quantizing it would undo what it is for, so nobody does.
inline constexpr std::string_view kRotationBack = "residual_rotation.back";
inline bool is_rotation_back(std::string_view constant) {
  return constant.starts_with(kRotationBack);
}

// Rewrites the model, whose functions are inlined, and returns the stream's width. Weights are
// rotated when their bytes are asked for. shapes: of its values, as find_smooth_groups() takes
// them. Errors: unsupported, naming the node, when something else reads or makes the residual
// stream than such a model has (LayerNorm, which takes a mean; hidden states of all layers as
// outputs); the model is as it was then.
Result<size_t> rotate_residual(Model& model, const ValueShapes& shapes);

}  // namespace octavo
