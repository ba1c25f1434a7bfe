#pragma once
// How far two vectors are apart, accumulated in float64.

#include <span>

namespace octavo {

// Cosine of the angle; 0 when either is all zero. Precondition: equal sizes.
double cosine(std::span<const float> a, std::span<const float> b);
// max |a - b|; infinity when exactly one side is NaN somewhere. Precondition: equal sizes.
double max_abs_difference(std::span<const float> a, std::span<const float> b);
// max |a - b| / max |b|: relative to the range of the reference. Precondition: equal sizes.
double relative_difference(std::span<const float> a, std::span<const float> reference);
// Euclidean length.
double norm(std::span<const float> a);

}  // namespace octavo
