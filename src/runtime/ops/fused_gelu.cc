// The GELUs of com.microsoft: Gelu (erf), BiasGelu (x + bias first), FastGelu (tanh, bias optional)
// and QuickGelu (x sigmoid(alpha x)).

#include <algorithm>
#include <array>
#include <string>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 4096;

enum class Kind : uint8_t { erf, tanh, quick };

class FusedGelu final : public Op {
 public:
  FusedGelu(Kind kind, float alpha) : kind_(kind), alpha_(alpha) {}

  template <Kind kKind>
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<FusedGelu>(kKind, init.node().float_or("alpha", 1.702F));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor* bias = context.input(1);
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    const size_t n = x.rank() == 0 ? 1 : static_cast<size_t>(x.shape().back());
    if (bias != nullptr && (bias->dtype() != x.dtype() || static_cast<size_t>(bias->size()) != n))
      return Error{Code::invalid_input, "a bias of shape " + to_string(bias->shape()) +
                                            " for an input of " + to_string(x.shape())};
    constexpr std::array<size_t, 1> over = {0};
    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_TRY(const float* pb,
               bias == nullptr ? Result<const float*>(nullptr) : as_floats(context, *bias));
    OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), over));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    float* py = result.data();
    const kernels::Table& table = context.kernels();
    // Whole rows where there is a bias to add.
    const size_t row = bias == nullptr ? 1 : n;
    const size_t rows = row == 0 ? 0 : static_cast<size_t>(y->size()) / row;
    context.pool().parallel_for(
        rows, std::max<size_t>(1, kGrain / std::max<size_t>(row, 1)),
        [&](size_t begin, size_t end) { piece(table, begin * row, end * row, n, px, pb, py); });
    result.finish(context.pool());
    return Done{};
  }

 private:
  void piece(const kernels::Table& table, size_t begin, size_t end, size_t n, const float* x,
             const float* bias, float* y) const {
    const float* from = x + begin;
    if (bias != nullptr) {
      for (size_t r = begin; r < end; r += n) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; ++i) y[r + i] = x[r + i] + bias[i];
      }
      from = y + begin;
    }
    if (kind_ != Kind::quick) {
      (kind_ == Kind::erf ? table.gelu_f32 : table.gelu_tanh_f32)(end - begin, from, y + begin);
      return;
    }
    constexpr size_t kPart = 256;
    std::array<float, kPart> gate;
    for (size_t i = 0; i < end - begin; i += kPart) {
      const size_t count = std::min(kPart, end - begin - i);
      for (size_t j = 0; j < count; ++j) gate[j] = alpha_ * from[i + j];
      table.sigmoid_f32(count, gate.data(), gate.data());
      for (size_t j = 0; j < count; ++j) y[begin + i + j] = from[i + j] * gate[j];
    }
  }

  Kind kind_;
  float alpha_;
};

}  // namespace

void register_fused_gelu(Registry& registry) {
  const auto add = [&](const char* op_type, size_t least, size_t most, auto make) {
    registry.add({.op_type = op_type,
                  .through = 1,
                  .min_inputs = least,
                  .max_inputs = most,
                  .make = make,
                  .domain = "com.microsoft"});
  };
  add("Gelu", 1, 1, FusedGelu::make<Kind::erf>);
  add("BiasGelu", 2, 2, FusedGelu::make<Kind::erf>);
  add("FastGelu", 1, 2, FusedGelu::make<Kind::tanh>);
  add("QuickGelu", 1, 1, FusedGelu::make<Kind::quick>);
}

}  // namespace octavo::ops
