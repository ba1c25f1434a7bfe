#pragma once
// Hidden states of one text -> its vector, and the length of vectors. Everything is accumulated in
// float64 and in the order of the tokens (of the elements, for a norm), so that the bits depend on
// nothing but the input.

#include <cstddef>
#include <span>

#include "embed/model_dir.h"

namespace octavo {

// hidden: [tokens][width], tokens > 0, out.size() == width.
void pool(Pooling pooling, const float* hidden, size_t tokens, std::span<float> out);

// In place; a zero vector stays zero.
void l2_normalize(std::span<float> row);

// Whether every element is a finite number.
bool all_finite(std::span<const float> row);

}  // namespace octavo
