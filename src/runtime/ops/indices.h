#pragma once
// Index tensors of Gather, Scatter and their kin: checked once against the dimension they index, so
// that the loops behind need not.

#include <span>

#include "runtime/op.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

// Indices into one dimension, none negative. The values live as long as the tensor and the run.
class Indices {
 public:
  static Result<Indices> read(OpContext& context, const Tensor& tensor, int64_t dim);
  int64_t operator[](size_t i) const { return values_[i]; }
  size_t size() const { return values_.size(); }

 private:
  std::span<const int64_t> values_;
};

// Tuples in the last dimension of an index tensor: element offsets into `shape` behind its first
// `batch` dimensions, and how many elements one of them names.
struct NdIndices {
  static Result<NdIndices> read(const Tensor& tensor, const Shape& shape, size_t batch);
  size_t width = 0;  // of a tuple
  int64_t slice = 1;
  std::vector<int64_t> offsets;
};

// GatherElements and ScatterElements: the same rank, and no dimension but the axis larger.
Status fits_within(const Shape& index, const Shape& data, size_t axis);

// Visits every position of `shape` in order: f(flat index, position, offset by `strides`).
template <class F>
void each_position(const Shape& shape, const Ints& strides, const F& f) {
  int64_t count = 1;
  for (const int64_t d : shape) count *= d;
  Ints at(shape.size(), 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    f(i, at, offset);
    for (size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++at[d] < shape[d]) break;
      at[d] = 0;
      offset -= strides[d] * shape[d];
    }
  }
}

}  // namespace octavo::ops
