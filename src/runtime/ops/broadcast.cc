#include "runtime/ops/broadcast.h"

#include <algorithm>
#include <string>

namespace octavo::ops {

Result<Shape> broadcast_shape(std::span<const Shape* const> shapes) {
  size_t rank = 0;
  for (const Shape* s : shapes) rank = std::max(rank, s->size());
  Shape out(rank, 1);
  for (const Shape* s : shapes) {
    const size_t lead = rank - s->size();
    for (size_t d = 0; d < s->size(); ++d) {
      int64_t& dim = out[lead + d];
      const int64_t have = (*s)[d];
      if (have == dim || have == 1) continue;
      if (dim != 1) {
        std::string text;
        for (const Shape* each : shapes) text += (text.empty() ? "" : " and ") + to_string(*each);
        return Error{Code::invalid_input, "shapes do not broadcast: " + text};
      }
      dim = have;
    }
  }
  return out;
}

Result<Broadcast> Broadcast::make(std::span<const Shape* const> shapes) {
  Broadcast b;
  b.inputs_ = shapes.size();
  OCTAVO_TRY(b.shape_, broadcast_shape(shapes));
  OCTAVO_TRY(b.size_, element_count(b.shape_));
  const size_t rank = b.shape_.size();
  std::array<int64_t, kMost> running;  // elements of input i below the dimension
  running.fill(1);
  // From the last dimension outwards, each either merged into the one before it or a new one.
  for (size_t back = 1; back <= rank; ++back) {
    const int64_t dim = b.shape_[rank - back];
    std::array<int64_t, kMost> stride{};
    for (size_t i = 0; i < shapes.size(); ++i) {
      const int64_t have = back <= shapes[i]->size() ? (*shapes[i])[shapes[i]->size() - back] : 1;
      if (have != 1) stride[i] = running[i];
      running[i] *= have;
    }
    if (dim == 1) continue;
    bool merges = !b.dims_.empty();
    for (size_t i = 0; merges && i < shapes.size(); ++i)
      merges = stride[i] == b.strides_.back()[i] * b.dims_.back();
    if (merges) {
      b.dims_.back() *= dim;
    } else {
      b.dims_.push_back(dim);
      b.strides_.push_back(stride);
    }
  }
  if (b.dims_.empty()) {
    b.dims_.push_back(1);
    b.strides_.push_back({});
  }
  std::reverse(b.dims_.begin(), b.dims_.end());
  std::reverse(b.strides_.begin(), b.strides_.end());
  b.step_ = b.strides_.back();
  return b;
}

Broadcast::Cursor Broadcast::locate(int64_t flat) const {
  Cursor at;
  at.index.resize(dims_.size());
  for (size_t d = dims_.size(); d-- > 0;) {
    at.index[d] = flat % dims_[d];
    flat /= dims_[d];
    for (size_t i = 0; i < inputs_; ++i) at.offset[i] += at.index[d] * strides_[d][i];
  }
  return at;
}

void Broadcast::advance(Cursor& at, int64_t n) const {
  size_t d = dims_.size() - 1;
  at.index[d] += n;
  for (size_t i = 0; i < inputs_; ++i) at.offset[i] += n * strides_[d][i];
  while (at.index[d] == dims_[d] && d > 0) {
    at.index[d] = 0;
    for (size_t i = 0; i < inputs_; ++i) at.offset[i] -= dims_[d] * strides_[d][i];
    --d;
    ++at.index[d];
    for (size_t i = 0; i < inputs_; ++i) at.offset[i] += strides_[d][i];
  }
}

}  // namespace octavo::ops
