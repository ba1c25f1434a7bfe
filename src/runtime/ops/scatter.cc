// ScatterElements (and Scatter, its old name) and ScatterND: a copy of the data with some elements
// replaced, or reduced with what was there.

#include <cstring>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/indices.h"

namespace octavo::ops {

namespace {

enum class Reduction : uint8_t { none, add, mul, max, min };

Result<Reduction> reduction_of(const OpInit& init, int64_t since) {
  const std::string name =
      init.opset() >= since ? init.node().string_or("reduction", "none") : "none";
  if (name == "none") return Reduction::none;
  if (name == "add") return Reduction::add;
  if (name == "mul") return Reduction::mul;
  if (name == "max") return Reduction::max;
  if (name == "min") return Reduction::min;
  return Error{Code::unsupported, "reduction \"" + name + "\""};
}

template <class T>
T reduce(Reduction reduction, T old, T update) {
  using C = Compute<T>;
  const C a(old);
  const C b(update);
  switch (reduction) {
    case Reduction::add:
      if constexpr (kIsFloat<T>) return T(static_cast<C>(a + b));
      return T(static_cast<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)));
    case Reduction::mul:
      if constexpr (kIsFloat<T>) return T(static_cast<C>(a * b));
      return T(static_cast<C>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)));
    case Reduction::max:
      return a > b ? old : update;
    case Reduction::min:
      return a < b ? old : update;
    default:
      return update;
  }
}

// Output 0 as a copy of input 0, without copying when that dies here.
Result<Tensor*> copy_of_data(OpContext& context) {
  const Tensor& x = context.required(0);
  constexpr std::array<size_t, 1> over = {0};
  OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), over));
  if (y->bytes().data() != x.bytes().data() && !x.bytes().empty())
    std::memcpy(y->mutable_bytes().data(), x.bytes().data(), x.bytes().size());
  return y;
}

class ScatterElements final : public Op {
 public:
  ScatterElements(int64_t axis, Reduction reduction) : axis_(axis), reduction_(reduction) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(const Reduction reduction, reduction_of(init, 16));
    return make_op<ScatterElements>(init.node().int_or("axis", 0), reduction);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& index = context.required(1);
    const Tensor& updates = context.required(2);
    OCTAVO_CHECK(same_dtype(x, updates));
    if (index.shape() != updates.shape())
      return Error{Code::invalid_input, "indices " + to_string(index.shape()) + " and updates " +
                                            to_string(updates.shape()) + " differ in shape"};
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    OCTAVO_CHECK(fits_within(index.shape(), x.shape(), axis));
    OCTAVO_TRY(const Indices indices, Indices::read(context, index, x.dim(axis)));
    const Ints strides = strides_of(x.shape());
    return dispatch(NumbersAndBool{}, x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, copy_of_data(context));
      T* out = elements<T>(*y);
      const T* from = elements<T>(updates);
      each_position(index.shape(), strides, [&](int64_t i, const Ints& at, int64_t offset) {
        T& place = out[offset + (indices[static_cast<size_t>(i)] - at[axis]) * strides[axis]];
        place = reduce(reduction_, place, from[i]);
      });
      return Done{};
    });
  }

 private:
  int64_t axis_;
  Reduction reduction_;
};

class ScatterND final : public Op {
 public:
  explicit ScatterND(Reduction reduction) : reduction_(reduction) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(const Reduction reduction, reduction_of(init, 16));
    return make_op<ScatterND>(reduction);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& index = context.required(1);
    const Tensor& updates = context.required(2);
    OCTAVO_CHECK(same_dtype(x, updates));
    OCTAVO_TRY(const NdIndices places, NdIndices::read(index, x.shape(), 0));
    if (updates.size() != static_cast<int64_t>(places.offsets.size()) * places.slice)
      return Error{Code::invalid_input, "updates " + to_string(updates.shape()) +
                                            " do not fit indices " + to_string(index.shape())};
    return dispatch(NumbersAndBool{}, x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, copy_of_data(context));
      const T* from = elements<T>(updates);
      for (const int64_t offset : places.offsets) {
        T* out = elements<T>(*y) + offset;
        for (int64_t k = 0; k < places.slice; ++k, ++from)
          out[k] = reduce(reduction_, out[k], *from);
      }
      return Done{};
    });
  }

 private:
  Reduction reduction_;
};

}  // namespace

void register_scatter(Registry& registry) {
  registry.add({.op_type = "Scatter",
                .since = 9,
                .min_inputs = 3,
                .max_inputs = 3,
                .make = ScatterElements::make});
  registry.add({.op_type = "ScatterElements",
                .since = 11,
                .min_inputs = 3,
                .max_inputs = 3,
                .make = ScatterElements::make});
  registry.add({.op_type = "ScatterND",
                .since = 11,
                .min_inputs = 3,
                .max_inputs = 3,
                .make = ScatterND::make});
}

}  // namespace octavo::ops
