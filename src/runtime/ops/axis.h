#pragma once
// The axis attribute: negative counts from the end. And what it cuts a shape into.

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "tensor/shape.h"

namespace octavo::ops {

// In [0, rank), or [0, rank] where the end itself is allowed. Errors: out of range.
inline Result<size_t> resolve_axis(int64_t axis, size_t rank, bool end_allowed = false) {
  const auto r = static_cast<int64_t>(rank);
  if (axis < -r || axis > r || (axis == r && !end_allowed))
    return Error{Code::invalid_input, "axis " + std::to_string(axis) + " is outside a shape of " +
                                          std::to_string(rank) + " dimensions"};
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

// Product of dimensions [from, to) of a real tensor's shape.
inline size_t extent(std::span<const int64_t> shape, size_t from, size_t to) {
  size_t n = 1;
  for (size_t d = from; d < to; ++d) n *= static_cast<size_t>(shape[d]);
  return n;
}

}  // namespace octavo::ops
