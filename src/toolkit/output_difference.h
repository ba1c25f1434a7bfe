#pragma once
// How far an output of two models is apart, whatever floating-point type it has: what decides
// whether a rewrite kept the function.

#include <optional>

#include "tensor/tensor.h"

namespace octavo {

struct OutputDifference {
  double relative = 0;  // max |a - b| / max |b|; infinity for other shapes, or NaN on one side
  // What rounding to the type alone can make of two equal functions: one unit in the last place of
  // the largest value. 0 for float32 and float64, whose rounding is far below any tolerance.
  double rounding = 0;
};

// None when there is nothing to compare: no elements, or a type that is no floating-point type.
std::optional<OutputDifference> output_difference(const Tensor& actual, const Tensor& expected);

}  // namespace octavo
