#pragma once
// An orthogonal matrix R [width, width] that is a fast transform: signs, then a Hadamard matrix of
// the largest power of two in width, and a cosine transform (DCT-II) of what is left of it. Every
// number of x R is a sum over all of x with weights of one size, so that no few channels stay
// large.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo {

class Rotation {
 public:
  explicit Rotation(size_t width);
  size_t width() const { return signs_.size(); }

  // x := x R, in float64. Precondition: width() numbers.
  void apply(std::span<double> x) const;

 private:
  size_t power_;                // the Hadamard part
  std::vector<double> signs_;   // 1 or -1
  std::vector<double> cosine_;  // [rest][rest], rest = width / power_
};

// Every vector along `axis` of a float32 tensor of one or two axes times R; `gain` (empty, or one
// number for each element of such a vector) is multiplied into the vectors first. Rounded once.
// Precondition: the axis has rotation.width() elements.
Result<Tensor> rotated(const Tensor& tensor, size_t axis, std::span<const float> gain,
                       const Rotation& rotation);
// R transposed, which undoes R: float32 [width, width].
Result<Tensor> transposed(const Rotation& rotation);

}  // namespace octavo
