#include "runtime/ops/product.h"

#include <array>
#include <string>
#include <utility>

#include "runtime/ops/broadcast.h"

namespace octavo::ops {

namespace {

// Index into the matrices of `batch` for every matrix of `result`, which it broadcasts to.
std::vector<size_t> indexes(const Shape& batch, const Shape& result, size_t count) {
  const size_t rank = result.size();
  std::vector<size_t> stride(rank, 0);
  size_t running = 1;
  for (size_t back = 1; back <= batch.size(); ++back) {
    const auto dim = static_cast<size_t>(batch[batch.size() - back]);
    if (dim != 1) stride[rank - back] = running;
    running *= dim;
  }
  std::vector<size_t> found(count);
  std::vector<size_t> at(rank, 0);
  size_t index = 0;
  for (size_t i = 0; i < count; ++i) {
    found[i] = index;
    for (size_t d = rank; d-- > 0;) {
      index += stride[d];
      if (++at[d] < static_cast<size_t>(result[d])) break;
      index -= stride[d] * at[d];
      at[d] = 0;
    }
  }
  return found;
}

}  // namespace

Result<ProductShape> product_shape(const Shape& a, const Shape& b, bool transpose_a,
                                   bool transpose_b) {
  const auto misfit = [&](const char* what) {
    return Error{Code::invalid_input, what + to_string(a) + " and " + to_string(b)};
  };
  if (a.empty() || b.empty()) return misfit("multiplies a scalar: ");
  const bool row = a.size() == 1;     // [K] is [1, K]
  const bool column = b.size() == 1;  // [K] is [K, 1]
  int64_t a_rows = row ? 1 : a[a.size() - 2];
  int64_t a_columns = a.back();
  int64_t b_rows = column ? b[0] : b[b.size() - 2];
  int64_t b_columns = column ? 1 : b.back();

  ProductShape p;
  p.a_stored_columns = static_cast<size_t>(a_columns);
  p.b_stored_columns = static_cast<size_t>(b_columns);
  if (transpose_a && !row) std::swap(a_rows, a_columns);
  if (transpose_b && !column) std::swap(b_rows, b_columns);
  if (a_columns != b_rows) return misfit("inner dimensions differ: ");
  p.m = static_cast<size_t>(a_rows);
  p.n = static_cast<size_t>(b_columns);
  p.k = static_cast<size_t>(a_columns);

  const Shape a_batch(a.begin(), row ? a.begin() : a.end() - 2);
  const Shape b_batch(b.begin(), column ? b.begin() : b.end() - 2);
  const std::array<const Shape*, 2> batches = {&a_batch, &b_batch};
  OCTAVO_TRY(p.shape, broadcast_shape(batches));
  OCTAVO_TRY(const int64_t count, element_count(p.shape));
  OCTAVO_TRY(const int64_t a_count, element_count(a_batch));
  OCTAVO_TRY(const int64_t b_count, element_count(b_batch));
  p.count = static_cast<size_t>(count);
  p.one_b = b_count == 1 && a_count == count && !transpose_a;
  p.a_index = indexes(a_batch, p.shape, p.count);
  p.b_index = indexes(b_batch, p.shape, p.count);
  if (!row) p.shape.push_back(a_rows);
  if (!column) p.shape.push_back(b_columns);
  OCTAVO_CHECK(element_count(p.shape));
  return p;
}

}  // namespace octavo::ops
