// Add, Sub, Mul, Div: element-wise with numpy broadcasting. Integers wrap around as in numpy; an
// integer division by zero is an error, since the standard leaves it open and the CPU traps.

#include <limits>
#include <type_traits>

#include "runtime/ops/binary.h"
#include "runtime/ops/families.h"

namespace octavo::ops {

namespace {

// Wrapping arithmetic without signed overflow: through an unsigned type at least as wide as int.
template <class T>
using Wrap = std::make_unsigned_t<std::common_type_t<T, int>>;

struct AddOf {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a + b;
    } else {
      return static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b));
    }
  }
};

struct SubOf {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a - b;
    } else {
      return static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b));
    }
  }
};

struct MulOf {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a * b;
    } else {
      return static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b));
    }
  }
};

struct DivOf {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else if constexpr (std::is_signed_v<T>) {
      // The smallest number by -1 traps as well.
      if (b == T{-1}) return static_cast<T>(Wrap<T>{0} - static_cast<Wrap<T>>(a));
      return static_cast<T>(a / b);
    } else {
      return static_cast<T>(a / b);
    }
  }
};

template <class F>
class Arithmetic final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor& b = context.required(1);
    OCTAVO_CHECK(same_dtype(a, b));
    return dispatch(Numbers{}, a.dtype(), [&]<class T>() -> Status {
      if constexpr (std::is_same_v<F, DivOf> && !kIsFloat<T>) OCTAVO_CHECK(no_zero<T>(b));
      return binary<T, T, T>(context, kCheapGrain, F{});
    });
  }
};

}  // namespace

void register_arithmetic(Registry& registry) {
  const auto add = [&](const char* op_type, auto f) {
    registry.add(
        {.op_type = op_type, .since = 7, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
           return make_op<Arithmetic<decltype(f)>>();
         }});
  };
  add("Add", AddOf{});
  add("Sub", SubOf{});
  add("Mul", MulOf{});
  add("Div", DivOf{});
}

}  // namespace octavo::ops
