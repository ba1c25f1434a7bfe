// MatMulInteger and QLinearMatMul: 8-bit operands of either sign, exact sums; and the two fused
// forms of com.microsoft, DynamicQuantizeMatMul (quantize A, multiply, scale) and
// MatMulIntegerToFloat.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_s32.h"
#include "runtime/ops/half_as_float.h"
#include "runtime/ops/product.h"
#include "runtime/ops/quantize.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 8192;

// B of any of these ops: packed when the session is made if it is constant, else met at run time.
class RightSide {
 public:
  static Result<RightSide> make(OpInit& init, size_t index) {
    RightSide side;
    side.index_ = index;
    const Tensor* b = init.constant(index);
    if (b == nullptr || b->rank() != 2 || dtype_bits(b->dtype()) != 8) return side;
    side.dtype_ = b->dtype();
    side.shape_ = b->shape();
    OCTAVO_TRY(side.packed_,
               PackedS8::make(static_cast<size_t>(b->dim(0)), static_cast<size_t>(b->dim(1)),
                              b->bytes().data(), b->dtype() == DType::i8));
    init.drop(index);
    return side;
  }
  DType dtype(const OpContext& context) const {
    return packed_ ? dtype_ : context.required(index_).dtype();
  }
  const Shape& shape(const OpContext& context) const {
    return packed_ ? shape_ : context.required(index_).shape();
  }
  // count * m * n exact sums of (a - a_zero)(B - b_zero).
  Status products(OpContext& context, const ProductShape& p, const Tensor& a, const Tensor* a_zero,
                  const Tensor* b_zero, int32_t* sums) const {
    OCTAVO_TRY(const ZeroPoints za, ZeroPoints::of_a(a_zero, a.dtype()));
    OCTAVO_TRY(const ZeroPoints zb, ZeroPoints::of_b(b_zero, dtype(context)));
    return integer_products(context, p, a, za, packed_ ? nullptr : &context.required(index_),
                            packed_ ? &*packed_ : nullptr, zb, sums);
  }

 private:
  size_t index_ = 0;
  DType dtype_ = DType::undefined;
  Shape shape_;
  std::optional<PackedS8> packed_;
};

Result<std::span<int32_t>> scratch_sums(OpContext& context, const ProductShape& p) {
  const size_t count = p.count * p.m * p.n;
  OCTAVO_TRY(const auto bytes, context.scratch(count * sizeof(int32_t)));
  return std::span<int32_t>(reinterpret_cast<int32_t*>(bytes.data()), count);
}

class MatMulInteger final : public Op {
 public:
  explicit MatMulInteger(RightSide b) : b_(std::move(b)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(RightSide b, RightSide::make(init, 1));
    return make_op<MatMulInteger>(std::move(b));
  }
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    OCTAVO_TRY(const ProductShape p, product_shape(a.shape(), b_.shape(context)));
    OCTAVO_TRY(Tensor * y, context.output(0, DType::i32, p.shape));
    return b_.products(context, p, a, context.input(2), context.input(3),
                       y->mutable_data<int32_t>());
  }

 private:
  RightSide b_;
};

// One value, or one for each column: values[i * step].
struct Scales {
  const float* values;
  size_t step;
};
Result<Scales> scales_of(OpContext& context, const Tensor& t, size_t n) {
  if (!is_float32_or_half(t.dtype())) return unsupported_dtype(t.dtype());
  const auto size = static_cast<size_t>(t.size());
  if (size != 1 && size != n)
    return Error{Code::invalid_input,
                 std::to_string(size) + " scales for " + std::to_string(n) + " columns"};
  OCTAVO_TRY(const float* values, as_floats(context, t));
  return Scales{values, size == 1 ? size_t{0} : size_t{1}};
}

// y = sums * a_scale * b_scale[n] (+ bias[n]).
void scale_sums(ThreadPool& pool, std::span<const int32_t> sums, size_t n, float a_scale,
                const Scales& b_scale, const float* bias, float* y) {
  const size_t rows = n == 0 ? 0 : sums.size() / n;
  pool.parallel_for(
      rows, std::max<size_t>(1, kGrain / std::max<size_t>(n, 1)), [&](size_t begin, size_t end) {
        for (size_t i = begin * n; i < end * n; i += n) {
          for (size_t j = 0; j < n; ++j) {
            const float v =
                static_cast<float>(sums[i + j]) * (a_scale * b_scale.values[j * b_scale.step]);
            y[i + j] = bias == nullptr ? v : v + bias[j];
          }
        }
      });
}

Result<const float*> bias_of(OpContext& context, size_t index, size_t n) {
  const Tensor* bias = context.input(index);
  if (bias == nullptr) return static_cast<const float*>(nullptr);
  if (bias->dtype() != DType::f32 || static_cast<size_t>(bias->size()) != n)
    return Error{Code::invalid_input, "the bias is not float32 [" + std::to_string(n) + "]"};
  return bias->data<float>();
}

// A (float), B, b_scale, b_zero?, bias? -> float
class DynamicQuantizeMatMul final : public Op {
 public:
  explicit DynamicQuantizeMatMul(RightSide b) : b_(std::move(b)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(RightSide b, RightSide::make(init, 1));
    return make_op<DynamicQuantizeMatMul>(std::move(b));
  }
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    if (a.dtype() != DType::f32) return unsupported_dtype(a.dtype());
    OCTAVO_TRY(const ProductShape p, product_shape(a.shape(), b_.shape(context)));
    OCTAVO_TRY(const Scales scales, scales_of(context, context.required(2), p.n));
    OCTAVO_TRY(const float* bias, bias_of(context, 4, p.n));
    OCTAVO_TRY(const auto bytes, context.scratch(static_cast<size_t>(a.size())));
    OCTAVO_TRY(const Tensor quantized, Tensor::borrow(DType::u8, a.shape(), bytes, nullptr));
    OCTAVO_TRY(const LinearU8 linear,
               dynamic_u8(context, a.values<float>(), reinterpret_cast<uint8_t*>(bytes.data())));
    const Tensor zero = Tensor::scalar<uint8_t>(linear.zero);
    OCTAVO_TRY(const auto sums, scratch_sums(context, p));
    OCTAVO_CHECK(b_.products(context, p, quantized, &zero, context.input(3), sums.data()));
    OCTAVO_TRY(Tensor * y, context.output(0, DType::f32, p.shape));
    scale_sums(context.pool(), sums, p.n, linear.scale, scales, bias, y->mutable_data<float>());
    return Done{};
  }

 private:
  RightSide b_;
};

// A, B, a_scale, b_scale, a_zero?, b_zero?, bias? -> float
class MatMulIntegerToFloat final : public Op {
 public:
  explicit MatMulIntegerToFloat(RightSide b) : b_(std::move(b)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(RightSide b, RightSide::make(init, 1));
    return make_op<MatMulIntegerToFloat>(std::move(b));
  }
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor& a_scale = context.required(2);
    if (a_scale.dtype() != DType::f32 || a_scale.size() != 1)
      return Error{Code::unsupported, "a scale of A that is not one float32"};
    OCTAVO_TRY(const ProductShape p, product_shape(a.shape(), b_.shape(context)));
    OCTAVO_TRY(const Scales scales, scales_of(context, context.required(3), p.n));
    OCTAVO_TRY(const float* bias, bias_of(context, 6, p.n));
    OCTAVO_TRY(const auto sums, scratch_sums(context, p));
    OCTAVO_CHECK(b_.products(context, p, a, context.input(4), context.input(5), sums.data()));
    OCTAVO_TRY(Tensor * y, context.output(0, DType::f32, p.shape));
    scale_sums(context.pool(), sums, p.n, a_scale.data<float>()[0], scales, bias,
               y->mutable_data<float>());
    return Done{};
  }

 private:
  RightSide b_;
};

// a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero -> 8 bits
class QLinearMatMul final : public Op {
 public:
  explicit QLinearMatMul(RightSide b) : b_(std::move(b)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(RightSide b, RightSide::make(init, 3));
    return make_op<QLinearMatMul>(std::move(b));
  }
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor& y_zero = context.required(7);
    OCTAVO_TRY(const ProductShape p, product_shape(a.shape(), b_.shape(context)));
    OCTAVO_TRY(const Scales a_scale, scales_of(context, context.required(1), 1));
    OCTAVO_TRY(const Scales b_scale, scales_of(context, context.required(4), p.n));
    OCTAVO_TRY(const Scales y_scale, scales_of(context, context.required(6), 1));
    if ((y_zero.dtype() != DType::u8 && y_zero.dtype() != DType::i8) || y_zero.size() != 1)
      return Error{Code::unsupported, "a zero point of the result that is not one 8-bit number"};
    OCTAVO_TRY(const auto sums, scratch_sums(context, p));
    OCTAVO_CHECK(b_.products(context, p, a, context.input(2), context.input(5), sums.data()));
    OCTAVO_TRY(Tensor * y, context.output(0, y_zero.dtype(), p.shape));
    const float factor = a_scale.values[0] / y_scale.values[0];
    const auto write = [&]<class T>(T* out) {
      const T zero = *elements<T>(y_zero);
      context.pool().parallel_for(sums.size(), kGrain, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          const float scale = factor * b_scale.values[i % p.n * b_scale.step];
          out[i] = round_into<T>(static_cast<float>(sums[i]) * scale, zero);
        }
      });
    };
    if (y_zero.dtype() == DType::u8) {
      write(y->mutable_data<uint8_t>());
    } else {
      write(y->mutable_data<int8_t>());
    }
    return Done{};
  }

 private:
  RightSide b_;
};

}  // namespace

void register_matmul_integer(Registry& registry) {
  registry.add({.op_type = "MatMulInteger",
                .since = 10,
                .min_inputs = 2,
                .max_inputs = 4,
                .make = MatMulInteger::make});
  registry.add({.op_type = "QLinearMatMul",
                .since = 10,
                .min_inputs = 8,
                .max_inputs = 8,
                .make = QLinearMatMul::make});
  registry.add({.op_type = "DynamicQuantizeMatMul",
                .through = 1,
                .min_inputs = 3,
                .max_inputs = 5,
                .make = DynamicQuantizeMatMul::make,
                .domain = "com.microsoft"});
  registry.add({.op_type = "MatMulIntegerToFloat",
                .through = 1,
                .min_inputs = 4,
                .max_inputs = 7,
                .make = MatMulIntegerToFloat::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
