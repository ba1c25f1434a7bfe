// LayerNormalization (17), RMSNormalization (23), and SimplifiedLayerNormalization, onnxruntime's
// older name of the latter, which its tools write into the standard domain too.

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "runtime/ops/axis.h"
#include "runtime/ops/broadcast.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 8192;  // elements

// Scale or bias as [n] floats: a view, or expanded into scratch memory where it broadcasts. Null
// for an absent one.
Result<const float*> row_parameter(OpContext& context, const Tensor* t, const Shape& x,
                                   size_t axis) {
  if (t == nullptr) return static_cast<const float*>(nullptr);
  if (!is_float32_or_half(t->dtype())) return unsupported_dtype(t->dtype());
  OCTAVO_TRY(const float* values, as_floats(context, *t));
  const Shape row(x.begin() + static_cast<std::ptrdiff_t>(axis), x.end());
  const std::array<const Shape*, 2> shapes = {&row, &t->shape()};
  OCTAVO_TRY(const Broadcast loop, Broadcast::make(shapes));
  OCTAVO_TRY(const int64_t n, element_count(row));
  // Leading ones beyond the row are harmless, anything else would differ from row to row.
  if (loop.size() != n)
    return Error{Code::invalid_input, "a scale or bias of " + to_string(t->shape()) +
                                          " does not broadcast to " + to_string(row)};
  if (t->size() == n) return values;
  OCTAVO_TRY(const auto scratch, context.scratch(static_cast<size_t>(n) * sizeof(float)));
  auto* expanded = reinterpret_cast<float*>(scratch.data());
  loop.run(context.pool(), static_cast<size_t>(n), [&](const Broadcast::Piece& p) {
    for (int64_t i = 0; i < p.n; ++i) expanded[p.out + i] = values[p.in[1] + i * p.step[1]];
  });
  return static_cast<const float*>(expanded);
}

class LayerNormalization final : public Op {
 public:
  // kMean: the mean is taken off (LayerNormalization), else only the size is normalised.
  LayerNormalization(bool mean, int64_t axis, float epsilon)
      : mean_(mean), axis_(axis), epsilon_(epsilon) {}

  template <bool kMean>
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    return make_op<LayerNormalization>(kMean, node.int_or("axis", -1),
                                       node.float_or("epsilon", 1e-5F));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const size_t axis, resolve_axis(axis_, x.rank()));
    const size_t rows = extent(x.shape(), 0, axis);
    const size_t n = extent(x.shape(), axis, x.rank());
    if (x.dtype() == DType::f64) return plain(context, x, axis, rows, n);
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const float* gain, row_parameter(context, context.input(1), x.shape(), axis));
    OCTAVO_TRY(const float* bias, row_parameter(context, context.input(2), x.shape(), axis));
    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_CHECK(statistics(context, x.shape(), axis, rows, n, px));
    // A float16 X with a float32 scale gives the scale's type in onnxruntime's contrib form.
    const DType dtype = mean_ ? x.dtype() : context.required(1).dtype();
    constexpr std::array<size_t, 1> over = {0};
    OCTAVO_TRY(Tensor * y, context.output_over(0, dtype, x.shape(), over));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    float* py = result.data();
    context.pool().parallel_for(
        rows, std::max<size_t>(1, kGrain / std::max<size_t>(n, 1)), [&](size_t begin, size_t end) {
          if (mean_) {
            context.kernels().layer_norm_f32(end - begin, n, px + begin * n, gain, bias, epsilon_,
                                             py + begin * n);
          } else {
            context.kernels().rms_norm_f32(end - begin, n, px + begin * n, gain, epsilon_,
                                           py + begin * n);
          }
        });
    result.finish(context.pool());
    return Done{};
  }

 private:
  // The optional outputs: mean (LayerNormalization only) and 1 / sqrt(variance + epsilon), per row.
  Status statistics(OpContext& context, const Shape& x_shape, size_t axis, size_t rows, size_t n,
                    const float* x) const {
    const size_t inverse_output = mean_ ? 2 : 1;
    float* means = nullptr;
    float* inverses = nullptr;
    Shape shape = x_shape;
    std::fill(shape.begin() + static_cast<std::ptrdiff_t>(axis), shape.end(), 1);
    if (mean_ && context.wants(1)) {
      OCTAVO_TRY(Tensor * t, context.output(1, DType::f32, shape));
      means = t->mutable_data<float>();
    }
    if (context.wants(inverse_output)) {
      OCTAVO_TRY(Tensor * t, context.output(inverse_output, DType::f32, shape));
      inverses = t->mutable_data<float>();
    }
    if (means == nullptr && inverses == nullptr) return Done{};
    for (size_t r = 0; r < rows; ++r) {
      const float* row = x + r * n;
      double mean = 0;
      if (mean_) {
        for (size_t i = 0; i < n; ++i) mean += row[i];
        mean /= static_cast<double>(n);
      }
      double squares = 0;
      for (size_t i = 0; i < n; ++i) squares += (row[i] - mean) * (row[i] - mean);
      if (means != nullptr) means[r] = static_cast<float>(mean);
      if (inverses != nullptr) {
        inverses[r] = static_cast<float>(
            1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon_)));
      }
    }
    return Done{};
  }

  Status plain(OpContext& context, const Tensor& x, size_t axis, size_t rows, size_t n) const {
    for (const size_t i : {size_t{1}, size_t{2}}) {
      const Tensor* t = context.input(i);
      if (t != nullptr && (t->dtype() != DType::f64 || static_cast<size_t>(t->size()) != n))
        return Error{Code::unsupported, "float64 only with a scale and bias of the row's shape"};
    }
    if (context.wants(1) || context.wants(2))
      return Error{Code::unsupported, "float64 only with one output"};
    (void)axis;
    OCTAVO_TRY(Tensor * y, context.output(0, DType::f64, x.shape()));
    const auto* px = x.data<double>();
    const Tensor* gain = context.input(1);
    const Tensor* bias = context.input(2);
    auto* py = y->mutable_data<double>();
    for (size_t r = 0; r < rows; ++r, px += n, py += n) {
      double mean = 0;
      for (size_t i = 0; mean_ && i < n; ++i) mean += px[i] / static_cast<double>(n);
      double squares = 0;
      for (size_t i = 0; i < n; ++i) squares += (px[i] - mean) * (px[i] - mean);
      const double scale =
          1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon_));
      for (size_t i = 0; i < n; ++i) {
        py[i] = (px[i] - mean) * scale * (gain == nullptr ? 1 : gain->data<double>()[i]) +
                (bias == nullptr ? 0 : bias->data<double>()[i]);
      }
    }
    return Done{};
  }

  bool mean_;
  int64_t axis_;
  float epsilon_;
};

}  // namespace

void register_layer_normalization(Registry& registry) {
  registry.add({.op_type = "LayerNormalization",
                .min_inputs = 2,
                .max_inputs = 3,
                .max_outputs = 3,
                .make = LayerNormalization::make<true>});
  registry.add({.op_type = "RMSNormalization",
                .since = 23,
                .min_inputs = 2,
                .max_inputs = 2,
                .make = LayerNormalization::make<false>});
  const auto simplified = [&](const char* domain, int64_t through) {
    registry.add({.op_type = "SimplifiedLayerNormalization",
                  .through = through,
                  .min_inputs = 2,
                  .max_inputs = 2,
                  .max_outputs = 2,
                  .make = LayerNormalization::make<false>,
                  .domain = domain});
  };
  simplified("", kNewestOpset);
  simplified("com.microsoft", 1);
}

}  // namespace octavo::ops
