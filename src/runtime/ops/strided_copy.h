#pragma once
// Elements read with any stride into a dense tensor: the one loop behind Transpose, Slice, Expand,
// Tile and Split.

#include <cstddef>
#include <span>

#include "base/thread_pool.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

// out[i0][i1]... = in[i0 * strides[0] + i1 * strides[1] + ...], dense and row-major. Strides are in
// elements and may be 0 or negative. Precondition: element_size is 1, 2, 4 or 8; everything read
// lies inside the input.
void strided_copy(ThreadPool& pool, std::span<const int64_t> dims, std::span<const int64_t> strides,
                  size_t element_size, const std::byte* in, std::byte* out);

}  // namespace octavo::ops
