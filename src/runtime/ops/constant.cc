// Constant, ConstantOfShape, EyeLike, Range: tensors out of nothing or nearly so.

#include <cmath>
#include <cstring>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

namespace {

class Constant final : public Op {
 public:
  explicit Constant(Tensor tensor) : tensor_(std::move(tensor)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const auto& attributes = init.node().attributes;
    if (attributes.size() != 1) return Error{Code::invalid_input, "needs exactly one attribute"};
    const auto& [key, value] = *attributes.begin();
    if (key == "value") {
      if (const auto* t = std::get_if<Tensor>(&value)) return make_op<Constant>(*t);
    } else if (key == "value_int") {
      if (const auto* v = std::get_if<int64_t>(&value))
        return make_op<Constant>(Tensor::scalar(*v));
    } else if (key == "value_float") {
      if (const auto* v = std::get_if<float>(&value)) return make_op<Constant>(Tensor::scalar(*v));
    } else if (key == "value_ints") {
      if (const auto* v = std::get_if<Ints>(&value))
        return make_op<Constant>(Tensor::of({static_cast<int64_t>(v->size())}, *v));
    } else if (key == "value_floats") {
      if (const auto* v = std::get_if<std::vector<float>>(&value))
        return make_op<Constant>(Tensor::of({static_cast<int64_t>(v->size())}, *v));
    }
    return Error{Code::unsupported, "a constant given as " + key};
  }

  Status run(OpContext& context) const override {
    context.give(0, {tensor_, -1});
    return Done{};
  }

 private:
  Tensor tensor_;
};

// count copies of one element of `size` bytes.
void fill(std::byte* out, int64_t count, const std::byte* element, size_t size) {
  for (int64_t i = 0; i < count; ++i, out += size) std::memcpy(out, element, size);
}

class ConstantOfShape final : public Op {
 public:
  explicit ConstantOfShape(Tensor value) : value_(std::move(value)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Tensor* value = init.node().tensor("value");
    if (value == nullptr) return make_op<ConstantOfShape>(Tensor::scalar(0.0F));
    if (value->size() != 1 || dtype_bits(value->dtype()) < 8)
      return Error{Code::invalid_input, "value must be one element of at least a byte"};
    return make_op<ConstantOfShape>(*value);
  }

  Status run(OpContext& context) const override {
    OCTAVO_TRY(Ints shape, ints_of(context.required(0), "shape"));
    OCTAVO_TRY(Tensor * y, context.output(0, value_.dtype(), std::move(shape)));
    fill(y->mutable_bytes().data(), y->size(), value_.bytes().data(), value_.bytes().size());
    return Done{};
  }

 private:
  Tensor value_;
};

class EyeLike final : public Op {
 public:
  EyeLike(DType dtype, int64_t k) : dtype_(dtype), k_(k) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const int64_t dtype = init.node().int_or("dtype", 0);
    if (dtype < 0 || dtype > 127 || (dtype != 0 && !is_known_dtype(static_cast<int32_t>(dtype))))
      return Error{Code::unsupported, "element type number " + std::to_string(dtype)};
    return make_op<EyeLike>(static_cast<DType>(dtype), init.node().int_or("k", 0));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (x.rank() != 2) return Error{Code::invalid_input, "needs a matrix"};
    const DType dtype = dtype_ == DType::undefined ? x.dtype() : dtype_;
    return dispatch(NumbersAndBool{}, dtype, [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, dtype, x.shape()));
      std::memset(y->mutable_bytes().data(), 0, y->bytes().size());
      for (int64_t r = 0; r < x.dim(0); ++r) {
        int64_t c = 0;
        if (!__builtin_add_overflow(r, k_, &c) && c >= 0 && c < x.dim(1))
          elements<T>(*y)[r * x.dim(1) + c] = T(Compute<T>{1});
      }
      return Done{};
    });
  }

 private:
  DType dtype_;
  int64_t k_;
};

class Range final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& start = context.required(0);
    for (size_t i = 0; i < 3; ++i) {
      OCTAVO_CHECK(same_dtype(start, context.required(i)));
      if (context.required(i).size() != 1)
        return Error{Code::invalid_input, "start, limit and delta must be single values"};
    }
    return dispatch(Types<float, double, F16, BF16, int16_t, int32_t, int64_t>{}, start.dtype(),
                    [&]<class T>() -> Status { return fill_range<T>(context); });
  }

 private:
  template <class T>
  static Status fill_range(OpContext& context) {
    using C = Compute<T>;
    const C first(elements<T>(context.required(0))[0]);
    const C limit(elements<T>(context.required(1))[0]);
    const C delta(elements<T>(context.required(2))[0]);
    if (delta == C{0}) return Error{Code::invalid_input, "delta is zero"};
    // In double also for int64: ranges anywhere near 2^53 do not fit memory.
    const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(first)) /
                                   static_cast<double>(delta));
    constexpr double kMost = 1e12;
    if (std::isnan(count) || count > kMost)
      return Error{Code::invalid_input, "the range has " + std::to_string(count) + " values"};
    const auto n = static_cast<int64_t>(std::fmax(0, count));
    OCTAVO_TRY(Tensor * y, context.output(0, element_dtype<T>(), {n}));
    T* out = elements<T>(*y);
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (kIsFloat<T>) {
        out[i] = T(static_cast<C>(first + static_cast<C>(i) * delta));
      } else {
        // Wrapping, though count keeps it in range.
        out[i] = static_cast<T>(static_cast<uint64_t>(first) +
                                static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
      }
    }
    return Done{};
  }
};

}  // namespace

void register_constant(Registry& registry) {
  registry.add({.op_type = "Constant", .since = 1, .max_inputs = 0, .make = Constant::make});
  registry.add({.op_type = "ConstantOfShape",
                .since = 9,
                .min_inputs = 1,
                .max_inputs = 1,
                .make = ConstantOfShape::make});
  registry.add(
      {.op_type = "EyeLike", .since = 9, .min_inputs = 1, .max_inputs = 1, .make = EyeLike::make});
  registry.add(
      {.op_type = "Range", .since = 11, .min_inputs = 3, .max_inputs = 3, .make = [](OpInit&) {
         return make_op<Range>();
       }});
}

}  // namespace octavo::ops
