// The numbers: maxima, s, and the rewriting of one constant.

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "passes/channel_classes.h"
#include "passes/smoothquant.h"

namespace octavo {

namespace {

std::vector<float> shared_maxima(std::span<const float> values, ChannelClasses& classes) {
  return classes.joined(values, [](float a, float b) { return std::max(a, b); });
}

// Row-major strides of `dims` seen from a shape of the same rank, 0 where dims broadcast.
Shape broadcast_strides(const Shape& dims) {
  Shape strides(dims.size(), 0);
  int64_t step = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    strides[d] = dims[d] == 1 ? 0 : step;
    step *= dims[d];
  }
  return strides;
}

// What `take(so far, w)` makes of the numbers of every index of `axis`, from 0 and in their order.
template <class T, class Take>
std::vector<T> fold_along(const Tensor& weight, size_t axis, const Take& take) {
  const Shape& shape = weight.shape();
  const auto size = static_cast<size_t>(shape[axis]);
  size_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
  const size_t outer = size * inner == 0 ? 0 : static_cast<size_t>(weight.size()) / (size * inner);
  std::vector<T> all(size, T{0});
  const float* w = weight.data<float>();
  for (size_t o = 0; o < outer; ++o) {
    for (size_t i = 0; i < size; ++i) {
      T one = all[i];
      for (size_t k = 0; k < inner; ++k) one = take(one, *w++);
      all[i] = one;
    }
  }
  return all;
}

}  // namespace

std::vector<float> absmax_along(const Tensor& weight, size_t axis) {
  return fold_along<float>(weight, axis, [](float m, float w) { return std::max(m, std::abs(w)); });
}

std::vector<double> squares_along(const Tensor& weight, size_t axis) {
  return fold_along<double>(weight, axis, [](double s, double w) { return s + w * w; });
}

std::vector<float> smoothing_scale(std::span<const float> activation, std::span<const float> weight,
                                   double alpha, std::span<const ChannelTie> ties) {
  ChannelClasses classes(activation.size(), ties);
  const std::vector<float> x = shared_maxima(activation, classes);
  const std::vector<float> w = shared_maxima(weight, classes);
  std::vector<float> scale(x.size(), 1.0F);
  for (size_t j = 0; j < x.size(); ++j) {
    const bool usable =
        x[j] >= FLT_MIN && w[j] >= FLT_MIN && std::isfinite(x[j]) && std::isfinite(w[j]);
    if (!usable) continue;
    const double s = std::pow(double{x[j]}, alpha) / std::pow(double{w[j]}, 1 - alpha);
    scale[j] = static_cast<float>(std::clamp(s, 1 / kLargestScale, kLargestScale));
  }
  return scale;
}

double outlier_ratio(std::span<const float> absmax) {
  std::vector<float> active;
  std::copy_if(absmax.begin(), absmax.end(), std::back_inserter(active),
               [](float v) { return v > 0; });
  if (active.empty()) return 1;
  const auto middle = active.begin() + static_cast<std::ptrdiff_t>(active.size() / 2);
  std::nth_element(active.begin(), middle, active.end());
  const double median = *middle;
  return *std::max_element(middle, active.end()) / median;
}

Result<Tensor> scale_constant(const Tensor& constant, std::span<const ScaledEdit> edits) {
  Shape shape = constant.shape();
  for (const ScaledEdit& edit : edits) {
    if (edit.map.dims.size() != shape.size())
      return Error{Code::internal, "a smoothing edit has another rank than its constant"};
    for (size_t d = 0; d < shape.size(); ++d) shape[d] = std::max(shape[d], edit.map.dims[d]);
  }
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, shape));
  if (out.size() == 0) return out;
  const size_t rank = shape.size();
  const auto width = rank == 0 ? 1 : static_cast<size_t>(shape.back());
  std::vector<double> row(width);
  Shape index(rank, 0);
  const auto offset = [&](const Shape& strides) {  // of the row's first element
    int64_t at = 0;
    for (size_t d = 0; d + 1 < rank; ++d) at += index[d] * strides[d];
    return at;
  };
  const Shape from = broadcast_strides(constant.shape());
  std::vector<Shape> strides;
  for (const ScaledEdit& edit : edits) strides.push_back(broadcast_strides(edit.map.dims));
  const float* in = constant.data<float>();
  float* to = out.mutable_data<float>();
  for (int64_t done = 0; done < out.size(); done += static_cast<int64_t>(width)) {
    const float* w = in + offset(from);
    const int64_t step = rank == 0 ? 0 : from.back();
    for (size_t i = 0; i < width; ++i) row[i] = w[static_cast<int64_t>(i) * step];
    for (size_t e = 0; e < edits.size(); ++e) {
      const int32_t* ids = edits[e].map.ids.data() + offset(strides[e]);
      const int64_t id_step = rank == 0 ? 0 : strides[e].back();
      const std::vector<float>& s = *edits[e].scale;
      for (size_t i = 0; i < width; ++i) {
        const int32_t id = ids[static_cast<int64_t>(i) * id_step];
        if (id == ChannelMap::kUntouched) continue;
        const double f = s[static_cast<size_t>(id)];
        row[i] = edits[e].multiply ? row[i] * f : row[i] / f;
      }
    }
    for (size_t i = 0; i < width; ++i) *to++ = static_cast<float>(row[i]);
    for (size_t d = rank < 2 ? 0 : rank - 1; d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

}  // namespace octavo
