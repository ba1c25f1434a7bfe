// QuantizeLinear, DequantizeLinear (opset 10 to 25: per tensor, per axis, in blocks; 4, 8 and 16
// bits, and int32 to dequantize) and DynamicQuantizeLinear. Not float8 and float4.

#include <array>
#include <cmath>
#include <mutex>
#include <string>

#include "runtime/ops/axis.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"
#include "runtime/ops/quantize.h"

namespace octavo::ops {

Result<LinearU8> dynamic_u8(OpContext& context, std::span<const float> x, uint8_t* y) {
  const kernels::Table& table = context.kernels();
  constexpr size_t kGrain = 16384;
  float low = 0;
  float high = 0;
  bool finite = true;
  std::mutex mutex;
  // Smallest and largest do not depend on the order in which they are found.
  context.pool().parallel_for(x.size(), kGrain, [&](size_t begin, size_t end) {
    float part_low = 0;
    float part_high = 0;
    table.min_max_f32(end - begin, x.data() + begin, &part_low, &part_high);
    const bool part_finite = table.all_finite_f32(end - begin, x.data() + begin);
    const std::lock_guard lock(mutex);
    finite = finite && part_finite;
    low = std::min(low, part_low);
    high = std::max(high, part_high);
  });
  LinearU8 linear{1, 0};
  if (!finite) return Error{Code::invalid_input, "quantizes a NaN or an infinity"};
  // In double only where the range overflows: elsewhere the standard's float arithmetic.
  float scale = (high - low) / 255.0F;
  if (std::isinf(scale)) scale = static_cast<float>((double{high} - double{low}) / 255.0);
  // All zeros (or denormals whose range / 255 is 0) leave the scale open; onnxruntime takes 1.
  if (scale > 0) linear.scale = scale;
  linear.zero = round_into<uint8_t>(-low / linear.scale, 0);
  context.pool().parallel_for(x.size(), kGrain, [&](size_t begin, size_t end) {
    table.quantize_f32_u8(end - begin, x.data() + begin, linear.scale, linear.zero, y + begin);
  });
  return linear;
}

namespace {

constexpr size_t kGrain = 8192;

struct Integer {
  int32_t low;
  int32_t high;
};
// Limits of a quantized type. Errors: not one.
Result<Integer> integer_of(DType dtype) {
  switch (dtype) {
    case DType::u4:
      return Integer{0, 15};
    case DType::i4:
      return Integer{-8, 7};
    case DType::u8:
      return Integer{0, 255};
    case DType::i8:
      return Integer{-128, 127};
    case DType::u16:
      return Integer{0, 65535};
    case DType::i16:
      return Integer{-32768, 32767};
    default:
      return unsupported_dtype(dtype);
  }
}

int32_t read(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::u4:
    case DType::i4: {
      const int32_t half = t.data<uint8_t>()[i / 2] >> (i % 2 * 4) & 15;
      return t.dtype() == DType::i4 && half >= 8 ? half - 16 : half;
    }
    case DType::u8:
      return t.data<uint8_t>()[i];
    case DType::i8:
      return t.data<int8_t>()[i];
    case DType::u16:
      return t.data<uint16_t>()[i];
    case DType::i16:
      return t.data<int16_t>()[i];
    default:
      return t.data<int32_t>()[i];
  }
}

// Which scale belongs to which element. x is [outer][axis][inner]; the scales are one, [axis], or
// [outer][axis / block][inner].
struct Layout {
  size_t outer = 1;
  size_t axis = 1;
  size_t inner = 1;
  size_t block = 0;  // 0: not in blocks
  bool one = false;
  // Of the first element of a row; elements of the row follow at steps of step().
  size_t scale(size_t o, size_t a) const {
    if (one) return 0;
    if (block == 0) return a;
    const size_t blocks = (axis + block - 1) / block;
    return (o * blocks + a / block) * inner;
  }
  size_t step() const { return block == 0 ? 0 : 1; }
};

Result<Layout> layout_of(const Shape& x, const Tensor& scale, int64_t axis_attribute,
                         int64_t block) {
  Layout l;
  if (block < 0) return Error{Code::invalid_input, "a negative block_size"};
  if (scale.size() == 1 && block == 0 && scale.rank() <= 1) {
    l.one = true;
    l.inner = extent(x, 0, x.size());
    return l;
  }
  OCTAVO_TRY(const size_t axis, resolve_axis(axis_attribute, x.size()));
  l.outer = extent(x, 0, axis);
  l.axis = static_cast<size_t>(x[axis]);
  l.inner = extent(x, axis + 1, x.size());
  Shape expected = {x[axis]};
  if (block != 0) {
    expected = x;
    expected[axis] = (x[axis] + block - 1) / block;
    l.block = static_cast<size_t>(block);
  }
  if (scale.shape() != expected)
    return Error{Code::invalid_input, "scales of shape " + to_string(scale.shape()) +
                                          ", expected " + to_string(expected)};
  return l;
}

Status check_zero(const Tensor* zero, const Tensor& scale, DType dtype) {
  if (zero == nullptr) return Done{};
  if (zero->dtype() != dtype)
    return Error{Code::invalid_input, "zero points of type " +
                                          std::string(dtype_name(zero->dtype())) + ", values of " +
                                          std::string(dtype_name(dtype))};
  if (zero->size() != scale.size())
    return Error{Code::invalid_input, "as many zero points as scales are needed"};
  return Done{};
}

Result<DType> attribute_dtype(const Node& node) {
  const int64_t number = node.int_or("output_dtype", 0);
  if (number == 0) return DType::undefined;
  if (number < 0 || number > 255 || !is_known_dtype(static_cast<int32_t>(number)))
    return Error{Code::unsupported, "output_dtype " + std::to_string(number)};
  return static_cast<DType>(number);
}

class QuantizeLinear final : public Op {
 public:
  QuantizeLinear(int64_t axis, int64_t block, DType dtype)
      : axis_(axis), block_(block), dtype_(dtype) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    OCTAVO_TRY(const DType dtype, attribute_dtype(node));
    return make_op<QuantizeLinear>(node.int_or("axis", 1), node.int_or("block_size", 0), dtype);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& scale = context.required(1);
    const Tensor* zero = context.input(2);
    const DType dtype = zero != nullptr              ? zero->dtype()
                        : dtype_ != DType::undefined ? dtype_
                                                     : DType::u8;
    OCTAVO_TRY(const Integer limits, integer_of(dtype));
    OCTAVO_TRY(const Layout l, layout_of(x.shape(), scale, axis_, block_));
    OCTAVO_CHECK(check_zero(zero, scale, dtype));
    if (!is_float32_or_half(scale.dtype())) return unsupported_dtype(scale.dtype());
    OCTAVO_TRY(const float* scales, as_floats(context, scale));
    OCTAVO_TRY(const float* px, floats_of(context, x));
    OCTAVO_TRY(Tensor * y, context.output(0, dtype, x.shape()));
    if (y->size() == 0) return Done{};
    if (l.one && (dtype == DType::u8 || dtype == DType::i8)) {
      fast(context, static_cast<size_t>(x.size()), px, scales[0],
           zero == nullptr ? 0 : read(*zero, 0), *y);
      return Done{};
    }
    // Two 4-bit values share a byte, so their rows are not given to different threads.
    const bool halves = dtype_bits(dtype) == 4;
    if (halves) std::fill(y->mutable_bytes().begin(), y->mutable_bytes().end(), std::byte{0});
    const size_t rows = l.outer * l.axis;
    context.pool().parallel_for(
        rows, halves ? rows : std::max<size_t>(1, kGrain / l.inner), [&](size_t begin, size_t end) {
          for (size_t r = begin; r < end; ++r) {
            const size_t s = l.scale(r / l.axis, r % l.axis);
            for (size_t i = 0; i < l.inner; ++i) {
              const size_t at = s + i * l.step();
              const int32_t z = zero == nullptr ? 0 : read(*zero, at);
              const size_t element = r * l.inner + i;
              write(*y, element,
                    round_into<int32_t>(px[element] / scales[at], z, limits.low, limits.high));
            }
          }
        });
    return Done{};
  }

 private:
  static Result<const float*> floats_of(OpContext& context, const Tensor& x) {
    if (is_float32_or_half(x.dtype())) return as_floats(context, x);
    if (x.dtype() != DType::i32) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const auto scratch, context.scratch(static_cast<size_t>(x.size()) * sizeof(float)));
    auto* floats = reinterpret_cast<float*>(scratch.data());
    const auto* from = x.data<int32_t>();
    for (int64_t i = 0; i < x.size(); ++i) floats[i] = static_cast<float>(from[i]);
    return static_cast<const float*>(floats);
  }

  static void fast(OpContext& context, size_t n, const float* x, float scale, int32_t zero,
                   Tensor& y) {
    const kernels::Table& table = context.kernels();
    context.pool().parallel_for(n, kGrain, [&](size_t begin, size_t end) {
      if (y.dtype() == DType::u8) {
        table.quantize_f32_u8(end - begin, x + begin, scale, static_cast<uint8_t>(zero),
                              y.mutable_data<uint8_t>() + begin);
      } else {
        table.quantize_f32_s8(end - begin, x + begin, scale, static_cast<int8_t>(zero),
                              y.mutable_data<int8_t>() + begin);
      }
    });
  }

  static void write(Tensor& y, size_t i, int32_t v) {
    switch (dtype_bits(y.dtype())) {
      case 4: {
        uint8_t& byte = elements<uint8_t>(y)[i / 2];
        byte = static_cast<uint8_t>(byte | (v & 15) << (i % 2 * 4));
        break;
      }
      case 8:
        elements<uint8_t>(y)[i] = static_cast<uint8_t>(v);
        break;
      default:
        elements<uint16_t>(y)[i] = static_cast<uint16_t>(v);
        break;
    }
  }

  int64_t axis_;
  int64_t block_;
  DType dtype_;  // asked for by an attribute, or undefined
};

class DequantizeLinear final : public Op {
 public:
  DequantizeLinear(int64_t axis, int64_t block, DType dtype)
      : axis_(axis), block_(block), dtype_(dtype) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    OCTAVO_TRY(const DType dtype, attribute_dtype(node));
    return make_op<DequantizeLinear>(node.int_or("axis", 1), node.int_or("block_size", 0), dtype);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& scale = context.required(1);
    const Tensor* zero = context.input(2);
    if (x.dtype() != DType::i32) OCTAVO_CHECK(integer_of(x.dtype()));
    OCTAVO_TRY(const Layout l, layout_of(x.shape(), scale, axis_, block_));
    OCTAVO_CHECK(check_zero(zero, scale, x.dtype()));
    const DType dtype = dtype_ != DType::undefined ? dtype_ : scale.dtype();
    if (!is_float32_or_half(dtype)) return unsupported_dtype(dtype);
    if (!is_float32_or_half(scale.dtype())) return unsupported_dtype(scale.dtype());
    OCTAVO_TRY(const float* scales, as_floats(context, scale));
    OCTAVO_TRY(Tensor * y, context.output(0, dtype, x.shape()));
    if (y->size() == 0) return Done{};
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    float* py = result.data();
    const size_t rows = l.outer * l.axis;
    const auto row = [&](size_t r, size_t from, size_t to) {
      const size_t s = l.scale(r / l.axis, r % l.axis);
      for (size_t i = from; i < to; ++i) {
        const size_t at = s + i * l.step();
        const int32_t z = zero == nullptr ? 0 : read(*zero, at);
        const size_t element = r * l.inner + i;
        py[element] = static_cast<float>(int64_t{read(x, element)} - z) * scales[at];
      }
    };
    if (rows == 1) {
      context.pool().parallel_for(l.inner, kGrain,
                                  [&](size_t begin, size_t end) { row(0, begin, end); });
    } else {
      context.pool().parallel_for(rows, std::max<size_t>(1, kGrain / l.inner),
                                  [&](size_t begin, size_t end) {
                                    for (size_t r = begin; r < end; ++r) row(r, 0, l.inner);
                                  });
    }
    result.finish(context.pool());
    return Done{};
  }

 private:
  int64_t axis_;
  int64_t block_;
  DType dtype_;
};

class DynamicQuantizeLinear final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (x.dtype() != DType::f32) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(Tensor * y, context.output(0, DType::u8, x.shape()));
    OCTAVO_TRY(const LinearU8 linear,
               dynamic_u8(context, x.values<float>(), y->mutable_data<uint8_t>()));
    OCTAVO_TRY(Tensor * scale, context.output(1, DType::f32, {}));
    scale->mutable_data<float>()[0] = linear.scale;
    OCTAVO_TRY(Tensor * zero, context.output(2, DType::u8, {}));
    zero->mutable_data<uint8_t>()[0] = linear.zero;
    return Done{};
  }
};

}  // namespace

void register_quantize_linear(Registry& registry) {
  registry.add({.op_type = "QuantizeLinear",
                .since = 10,
                .min_inputs = 2,
                .max_inputs = 3,
                .make = QuantizeLinear::make});
  registry.add({.op_type = "DequantizeLinear",
                .since = 10,
                .min_inputs = 2,
                .max_inputs = 3,
                .make = DequantizeLinear::make});
  registry.add({.op_type = "DynamicQuantizeLinear",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 1,
                .max_outputs = 3,
                .make = [](OpInit&) { return make_op<DynamicQuantizeLinear>(); }});
}

}  // namespace octavo::ops
