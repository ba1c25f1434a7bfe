// Softmax and LogSoftmax. From opset 13 on along one axis; before, the dimensions from the axis on
// counted as one (and the default axis was 1).

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/ops/axis.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_f32.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 4096;  // elements: an exp and a division each

// log(exp(x) / sum) without the overflow of exp. `work` holds n floats, and may not be x.
void log_softmax_row(const kernels::Table& table, size_t n, const float* x, float* y, float* work) {
  const float top = *std::max_element(x, x + n);
  for (size_t i = 0; i < n; ++i) y[i] = x[i] - top;
  table.exp_f32(n, y, work);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += work[i];
  const auto log_sum = static_cast<float>(std::log(sum));
  for (size_t i = 0; i < n; ++i) y[i] -= log_sum;
}

void plain_row(bool logarithm, size_t n, const double* x, size_t stride, double* y) {
  double top = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < n; ++i) top = std::max(top, x[i * stride]);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::exp(x[i * stride] - top);
  for (size_t i = 0; i < n; ++i) {
    const double d = x[i * stride] - top;
    y[i * stride] = logarithm ? d - std::log(sum) : std::exp(d) / sum;
  }
}

class Softmax final : public Op {
 public:
  Softmax(bool logarithm, bool coerced, int64_t axis)
      : logarithm_(logarithm), coerced_(coerced), axis_(axis) {}

  template <bool kLogarithm>
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const bool coerced = init.opset() < 13;
    return make_op<Softmax>(kLogarithm, coerced, init.node().int_or("axis", coerced ? 1 : -1));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    size_t axis = 0;
    if (x.rank() > 0 || axis_ < -1 || axis_ > 0) {
      OCTAVO_TRY(axis, resolve_axis(axis_, x.rank(), coerced_));
    }
    // [outer][n][inner]
    const size_t outer = extent(x.shape(), 0, axis);
    const size_t end = coerced_ ? x.rank() : std::min(axis + 1, x.rank());
    const size_t n = extent(x.shape(), axis, end);
    const size_t inner = extent(x.shape(), end, x.rank());
    constexpr std::array<size_t, 1> over = {0};
    OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), over));
    if (y->size() == 0) return Done{};
    if (x.dtype() == DType::f64) {
      const auto* px = x.data<double>();
      auto* py = y->mutable_data<double>();
      context.pool().parallel_for(outer * inner, 1, [&](size_t begin, size_t stop) {
        for (size_t r = begin; r < stop; ++r) {
          const size_t at = r / inner * n * inner + r % inner;
          plain_row(logarithm_, n, px + at, inner, py + at);
        }
      });
      return Done{};
    }
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    if (inner == 1 && !logarithm_) {
      whole_rows(context, outer, n, px, result.data());
    } else {
      OCTAVO_CHECK(strided_rows(context, outer, n, inner, px, result.data()));
    }
    result.finish(context.pool());
    return Done{};
  }

 private:
  static void whole_rows(OpContext& context, size_t rows, size_t n, const float* x, float* y) {
    context.pool().parallel_for(
        rows, std::max<size_t>(1, kGrain / n), [&](size_t begin, size_t end) {
          context.kernels().softmax_f32(end - begin, n, x + begin * n, y + begin * n);
        });
  }

  Status strided_rows(OpContext& context, size_t outer, size_t n, size_t inner, const float* x,
                      float* y) const {
    const kernels::Table& table = context.kernels();
    OCTAVO_TRY(Slots slots, Slots::make(context, 2 * n));
    context.pool().parallel_for(outer * inner, std::max<size_t>(1, kGrain / n),
                                [&](size_t begin, size_t end) {
                                  const Slots::Lease lease(slots);
                                  float* row = lease.data();
                                  for (size_t r = begin; r < end; ++r) {
                                    const size_t at = r / inner * n * inner + r % inner;
                                    for (size_t i = 0; i < n; ++i) row[i] = x[at + i * inner];
                                    if (logarithm_) {
                                      log_softmax_row(table, n, row, row, row + n);
                                    } else {
                                      table.softmax_f32(1, n, row, row);
                                    }
                                    for (size_t i = 0; i < n; ++i) y[at + i * inner] = row[i];
                                  }
                                });
    return Done{};
  }

  bool logarithm_;
  bool coerced_;
  int64_t axis_;
};

}  // namespace

void register_softmax(Registry& registry) {
  registry.add(
      {.op_type = "Softmax", .min_inputs = 1, .max_inputs = 1, .make = Softmax::make<false>});
  registry.add(
      {.op_type = "LogSoftmax", .min_inputs = 1, .max_inputs = 1, .make = Softmax::make<true>});
}

}  // namespace octavo::ops
