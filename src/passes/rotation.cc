#include "passes/rotation.h"

#include <cmath>
#include <numbers>

#include "base/float_environment.h"

namespace octavo {

namespace {

// splitmix64: the same signs everywhere.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

void hadamard(double* x, size_t n) {
  for (size_t half = 1; half < n; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      for (size_t j = i; j < i + half; ++j) {
        const double a = x[j];
        const double b = x[j + half];
        x[j] = a + b;
        x[j + half] = a - b;
      }
    }
  }
}

}  // namespace

Rotation::Rotation(size_t width) : power_(width & (~width + 1)), signs_(width) {
  for (size_t i = 0; i < width; ++i) signs_[i] = (mix(i) & 1U) == 0 ? 1 : -1;
  if (width == 0) return;
  const size_t rest = width / power_;
  cosine_.resize(rest * rest);
  const auto n = static_cast<double>(rest);
  const double norm = 1 / std::sqrt(static_cast<double>(power_));
  for (size_t i = 0; i < rest; ++i)
    for (size_t j = 0; j < rest; ++j)
      cosine_[i * rest + j] =
          norm *
          (j == 0 ? std::sqrt(1 / n)
                  : std::sqrt(2 / n) * std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) *
                                                static_cast<double>(j) / n));
}

void Rotation::apply(std::span<double> x) const {
  const size_t rest = width() / power_;
  for (size_t i = 0; i < x.size(); ++i) x[i] *= signs_[i];
  for (size_t r = 0; r < rest; ++r) hadamard(x.data() + r * power_, power_);
  std::vector<double> mixed(rest);
  for (size_t i = 0; i < power_; ++i) {
    for (size_t j = 0; j < rest; ++j) {
      mixed[j] = 0;
      for (size_t r = 0; r < rest; ++r) mixed[j] += x[r * power_ + i] * cosine_[r * rest + j];
    }
    for (size_t j = 0; j < rest; ++j) x[j * power_ + i] = mixed[j];
  }
}

Result<Tensor> rotated(const Tensor& tensor, size_t axis, std::span<const float> gain,
                       const Rotation& rotation) {
  const size_t width = rotation.width();
  if (tensor.dtype() != DType::f32 || tensor.rank() == 0 || axis >= tensor.rank() ||
      static_cast<size_t>(tensor.shape()[axis]) != width || (!gain.empty() && gain.size() != width))
    return Error{Code::internal, "a constant of another type or width than the rotation"};
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, tensor.shape()));
  const auto count = static_cast<size_t>(tensor.size()) / width;
  size_t step = 1;  // between the elements of one vector
  for (size_t d = axis + 1; d < tensor.rank(); ++d) step *= static_cast<size_t>(tensor.shape()[d]);
  const float* from = tensor.data<float>();
  auto* to = out.mutable_data<float>();
  const FloatEnvironment environment;
  std::vector<double> x(width);
  for (size_t v = 0; v < count; ++v) {
    const size_t at = v / step * step * width + v % step;
    for (size_t i = 0; i < width; ++i)
      x[i] = double{from[at + i * step]} * (gain.empty() ? 1.0F : gain[i]);
    rotation.apply(x);
    for (size_t i = 0; i < width; ++i) to[at + i * step] = static_cast<float>(x[i]);
  }
  return out;
}

Result<Tensor> transposed(const Rotation& rotation) {
  const size_t width = rotation.width();
  const auto n = static_cast<int64_t>(width);
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, {n, n}));
  auto* to = out.mutable_data<float>();
  const FloatEnvironment environment;
  std::vector<double> row(width);
  for (size_t i = 0; i < width; ++i) {
    std::fill(row.begin(), row.end(), 0.0);
    row[i] = 1;
    rotation.apply(row);
    for (size_t j = 0; j < width; ++j) to[j * width + i] = static_cast<float>(row[j]);
  }
  return out;
}

}  // namespace octavo
