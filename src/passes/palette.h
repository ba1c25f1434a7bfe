#pragma once
// A float32 matrix of few different numbers in a byte for up to four elements, without losing a
// bit: the rotation back of the residual stream (passes/rotate_residual.h) has signs times a
// Hadamard matrix times a small cosine transform, in which a handful of numbers, and of neighbours,
// come over and over.
//
//   before:  Y = MatMul(X, W)                                            W [K, N] float32
//   after:   Y = MatMul(X, Reshape(Gather(W_values, Cast(W_places))))
//            W_values [at most 256, 4] float32, W_places [K, N / 4] uint8; or with 2 neighbours,
//            or with single numbers: W_values [at most 256], W_places [K, N], no Reshape
//
// Nothing of it depends on an input, so runtimes compute W once, when they load the model. More
// than four would be more than the plain executor lets a constant grow.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

// Whether it was done; false: no float32 initializer of two axes, one that is an input or output of
// the graph, or one with more different numbers (by their bits) than a byte has, or too few
// elements to gain by it. The last node's output has the initializer's name, so that its readers
// stay as they are. Errors: those of making its bytes.
Result<bool> store_by_palette(Graph& graph, const std::string& matrix);

// The same for the rotation back, where a model has one. Returns how many bytes fewer its tensors
// take.
Result<uint64_t> store_rotation_by_palette(Model& model);

}  // namespace octavo
