#include "passes/quantize_weight.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "base/float_environment.h"
#include "kernels/quantize_weights.h"

namespace octavo {

// A tensor and whose it is.
class WeightCache {
 public:
  Result<Tensor> get(const void* owner, const Initializer& weight) {
    const std::lock_guard lock(mutex_);
    if (owner_ == owner) return tensor_;
    owner_ = nullptr;
    tensor_.drop_pages();
    tensor_ = Tensor();  // before the next one is made: never two at a time
    OCTAVO_TRY(tensor_, weight.tensor());
    owner_ = owner;
    return tensor_;
  }
  void release(const void* owner) {
    const std::lock_guard lock(mutex_);
    if (owner_ != owner) return;
    owner_ = nullptr;
    tensor_.drop_pages();
    tensor_ = Tensor();
  }

 private:
  std::mutex mutex_;
  const void* owner_ = nullptr;
  Tensor tensor_;
};

std::shared_ptr<WeightCache> make_weight_cache() { return std::make_shared<WeightCache>(); }

namespace {

constexpr int kSmallestClip = 80;  // percent; a normal distribution of 1,000 wants about 90

struct Parameter {
  float scale;
  int zero;
};

Parameter parameter_of(float low, float high, const WeightForm& form) {
  const double qmin = form.is_signed ? (form.reduce_range ? -64 : -127) : 0;
  const double qmax =
      form.is_signed ? (form.reduce_range ? 64 : 127) : (form.reduce_range ? 127 : 255);
  double bottom = std::min(low, 0.0F);
  double top = std::max(high, 0.0F);
  if (form.is_signed) {
    top = std::max(std::abs(bottom), std::abs(top));
    bottom = -top;
  }
  const double scale = (top - bottom) / (qmax - qmin);
  if (scale < static_cast<double>(std::numeric_limits<float>::min())) return {1.0F, 0};
  const double zero = form.is_signed ? 0 : std::nearbyint(qmin - bottom / scale);
  return {static_cast<float>(scale), static_cast<int>(zero)};
}

// What the three initializers of one weight share.
class Work {
 public:
  Work(Initializer weight, WeightForm form, std::shared_ptr<ThreadPool> pool,
       std::shared_ptr<WeightCache> cache)
      : weight_(std::move(weight)), form_(form), pool_(std::move(pool)), cache_(std::move(cache)) {}

  size_t channels() const {
    return form_.per_channel ? static_cast<size_t>(weight_.shape().back()) : 1;
  }
  Shape parameter_shape() const {
    return form_.per_channel ? Shape{weight_.shape().back()} : Shape{};
  }

  Result<Tensor> scale() {
    OCTAVO_CHECK(find_parameters());
    OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, parameter_shape()));
    for (size_t c = 0; c < channels(); ++c) out.mutable_data<float>()[c] = parameters_[c].scale;
    return out;
  }

  Result<Tensor> zero_point() {
    OCTAVO_CHECK(find_parameters());
    OCTAVO_TRY(Tensor out, Tensor::make(dtype(), parameter_shape()));
    for (size_t c = 0; c < channels(); ++c)
      out.mutable_bytes()[c] = static_cast<std::byte>(parameters_[c].zero);
    return out;
  }

  Result<Tensor> values() {
    OCTAVO_TRY(Tensor out, quantized());
    cache_->release(this);
    return out;
  }

  // The source stays cached for the values, which are asked for next as a rule.
  Result<Tensor> column_sums() {
    OCTAVO_TRY(const Tensor q, quantized());
    OCTAVO_TRY(Tensor out, Tensor::make(DType::i32, sums_shape()));
    const auto n = static_cast<size_t>(weight_.shape().back());
    const auto k = static_cast<size_t>(weight_.shape()[weight_.shape().size() - 2]);
    const int8_t* from = q.data<int8_t>();
    auto* sums = out.mutable_data<int32_t>();
    for (size_t row = 0; row < static_cast<size_t>(q.size()) / n; ++row, from += n) {
      int32_t* to = sums + row / k * n;
      for (size_t c = 0; c < n; ++c) to[c] += from[c];
    }
    return out;
  }

  // [N], or [..., 1, N] of a stack of matrices.
  Shape sums_shape() const {
    Shape shape = weight_.shape();
    if (shape.empty()) return {};
    if (shape.size() <= 2) return {shape.back()};
    shape[shape.size() - 2] = 1;
    return shape;
  }

  DType dtype() const { return form_.is_signed ? DType::i8 : DType::u8; }

 private:
  Result<Tensor> quantized() {
    OCTAVO_CHECK(find_parameters());
    OCTAVO_TRY(const Tensor w, cache_->get(this, weight_));
    OCTAVO_TRY(Tensor out, Tensor::make(dtype(), weight_.shape()));
    const Rows rows = rows_of(w);
    std::vector<float> scale(rows.n);
    std::vector<float> zero(rows.n);
    for (size_t c = 0; c < rows.n; ++c) {
      const Parameter& p = parameters_[form_.per_channel ? c : 0];
      scale[c] = p.scale;
      zero[c] = static_cast<float>(p.zero);
    }
    const float* in = w.data<float>();
    std::byte* q = out.mutable_bytes().data();
    pool_->parallel_for(rows.count, rows.grain, [&](size_t begin, size_t end) {
      const FloatEnvironment environment;
      const float* from = in + begin * rows.n;
      std::byte* to = q + begin * rows.n;
      if (form_.is_signed) {
        kernels::quantize_columns_f32_s8(end - begin, rows.n, from, scale.data(), zero.data(),
                                         reinterpret_cast<int8_t*>(to));
      } else {
        kernels::quantize_columns_f32_u8(end - begin, rows.n, from, scale.data(), zero.data(),
                                         reinterpret_cast<uint8_t*>(to));
      }
    });
    return out;
  }

  // The weight as a matrix whose columns are the last axis, and pieces of about 1 MB.
  struct Rows {
    size_t count, n, grain;
  };
  static Rows rows_of(const Tensor& w) {
    const auto n = static_cast<size_t>(w.shape().back());
    const auto count = static_cast<size_t>(w.size()) / n;
    return {count, n, std::max<size_t>(1, (size_t{1} << 18) / n)};
  }

  Status find_parameters() {
    const std::lock_guard lock(mutex_);
    if (!parameters_.empty()) return Done{};
    OCTAVO_TRY(const Tensor w, cache_->get(this, weight_));
    const Rows rows = rows_of(w);
    // Few enough strips that their ranges stay small beside the weight itself; minimum and maximum
    // do not care how the rows are split.
    const size_t strips = std::min<size_t>((rows.count + rows.grain - 1) / rows.grain,
                                           static_cast<size_t>(pool_->threads()) * 4);
    std::vector<float> low(strips * rows.n);
    std::vector<float> high(strips * rows.n);
    std::atomic<bool> finite{true};
    const float* in = w.data<float>();
    pool_->parallel_for(strips, 1, [&](size_t begin, size_t end) {
      const FloatEnvironment environment;
      for (size_t s = begin; s < end; ++s) {
        const size_t r0 = rows.count * s / strips;
        const size_t r1 = rows.count * (s + 1) / strips;
        if (!kernels::column_range_f32(r1 - r0, rows.n, in + r0 * rows.n, &low[s * rows.n],
                                       &high[s * rows.n]))
          finite = false;
      }
    });
    if (!finite) return not_finite(w);
    for (size_t s = 1; s < strips; ++s) {
      for (size_t c = 0; c < rows.n; ++c) {
        low[c] = std::min(low[c], low[s * rows.n + c]);
        high[c] = std::max(high[c], high[s * rows.n + c]);
      }
    }
    const FloatEnvironment environment;
    if (form_.per_channel) {
      for (size_t c = 0; c < rows.n; ++c)
        parameters_.push_back(parameter_of(low[c], high[c], form_));
      if (form_.clip) clip(rows, in);
    } else {
      const auto end = static_cast<ptrdiff_t>(rows.n);
      parameters_.push_back(parameter_of(*std::min_element(low.begin(), low.begin() + end),
                                         *std::max_element(high.begin(), high.begin() + end),
                                         form_));
    }
    return Done{};
  }

  // A thread takes whole columns, so that their sums do not depend on how many threads there are.
  void clip(const Rows& rows, const float* in) {
    constexpr size_t kColumns = 16;
    pool_->parallel_for((rows.n + kColumns - 1) / kColumns, 1, [&](size_t begin, size_t end) {
      const FloatEnvironment environment;
      for (size_t c = begin * kColumns; c < std::min(rows.n, end * kColumns); c += kColumns) {
        const size_t count = std::min(kColumns, rows.n - c);
        std::array<float, kColumns> whole{};
        std::array<double, kColumns> least;
        least.fill(std::numeric_limits<double>::infinity());
        for (size_t j = 0; j < count; ++j) whole[j] = parameters_[c + j].scale;
        for (int percent = 100; percent >= kSmallestClip; percent -= 2) {
          std::array<float, kColumns> scale{};
          std::array<double, kColumns> error{};
          for (size_t j = 0; j < count; ++j)
            scale[j] = std::max(std::numeric_limits<float>::min(),
                                static_cast<float>(double{whole[j]} * percent / 100));
          kernels::column_error_f32_s8(rows.count, rows.n, count, in + c, scale.data(),
                                       error.data());
          for (size_t j = 0; j < count; ++j) {
            if (!(error[j] < least[j])) continue;
            least[j] = error[j];
            parameters_[c + j].scale = scale[j];
          }
        }
      }
    });
  }

  Error not_finite(const Tensor& w) const {
    const auto values = w.values<float>();
    const auto at =
        std::find_if_not(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
    return {Code::invalid_input, "weight \"" + weight_.name() + "\" is " + std::to_string(*at) +
                                     " at element " + std::to_string(at - values.begin()) +
                                     ": it cannot be quantized (--exclude its node, or repair it)"};
  }

  Initializer weight_;
  WeightForm form_;
  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<WeightCache> cache_;
  std::mutex mutex_;
  std::vector<Parameter> parameters_;
};

}  // namespace

QuantizedWeight quantize_weight(const Initializer& weight, const WeightForm& form,
                                const std::shared_ptr<ThreadPool>& pool,
                                const std::shared_ptr<WeightCache>& cache) {
  const auto work = std::make_shared<Work>(weight, form, pool, cache);
  const std::string& name = weight.name();
  QuantizedWeight out{Initializer(name + "_scale", DType::f32, work->parameter_shape(),
                                  [work] { return work->scale(); }),
                      Initializer(name + "_zero_point", work->dtype(), work->parameter_shape(),
                                  [work] { return work->zero_point(); }),
                      Initializer(name + "_quantized", work->dtype(), weight.shape(),
                                  [work] { return work->values(); }),
                      Initializer(name + "_column_sums", DType::i32, work->sums_shape(),
                                  [work] { return work->column_sums(); })};
  out.scale.storage = Initializer::Storage::typed_fields;
  out.zero_point.storage = Initializer::Storage::typed_fields;
  return out;
}

}  // namespace octavo
