#pragma once
// The shape rules of numpy's matmul: which matrices meet which, for every op that multiplies
// matrices whatever the element type.

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "tensor/shape.h"

namespace octavo::ops {

struct ProductShape {
  Shape shape;  // of the result
  size_t m = 0, n = 0, k = 0;
  size_t count = 0;  // products, one for every matrix of the result
  // Which matrix of A and of B makes result i.
  std::vector<size_t> a_index;
  std::vector<size_t> b_index;
  // The matrices of A lie one after another in the result's order, all meeting the same B: one
  // product of count * m rows.
  bool one_b = false;

  // Columns of the matrices as they are stored, before any transpose.
  size_t a_stored_columns = 0;
  size_t b_stored_columns = 0;
};

// Vectors count as one row (A) or one column (B), and that dimension is dropped from the result.
// Errors: a scalar, inner dimensions that differ, batch dimensions that do not broadcast.
Result<ProductShape> product_shape(const Shape& a, const Shape& b, bool transpose_a = false,
                                   bool transpose_b = false);

}  // namespace octavo::ops
