// Pow and Mod. The result has the type of the base (dividend); the exponent may have another.

#include <cmath>
#include <limits>

#include "runtime/ops/binary.h"
#include "runtime/ops/families.h"

namespace octavo::ops {

namespace {

using Bases = Types<float, double, F16, BF16, int32_t, int64_t>;

template <class T>
T whole_power(T base, int64_t exponent) {
  if (exponent < 0) {
    // 1 / base^n in integers: only 1 and -1 leave anything.
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  using U = std::make_unsigned_t<T>;
  U result = 1;
  auto square = static_cast<U>(base);
  for (; exponent > 0; exponent >>= 1, square = static_cast<U>(square * square)) {
    if ((exponent & 1) != 0) result = static_cast<U>(result * square);
  }
  return static_cast<T>(result);
}

template <class T>
T to_whole(double v) {  // a float power back in an integer type: truncated, saturated
  if (std::isnan(v)) return 0;
  if (v >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (v <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(v);
}

struct PowOf {
  template <class A, class B>
  A operator()(A a, B b) const {
    if constexpr (std::is_floating_point_v<A>) {
      return std::pow(a, static_cast<A>(b));
    } else if constexpr (std::is_floating_point_v<B>) {
      return to_whole<A>(std::pow(static_cast<double>(a), static_cast<double>(b)));
    } else {
      constexpr auto kMost = std::numeric_limits<int64_t>::max();
      if constexpr (std::is_same_v<B, uint64_t>) {
        if (b > static_cast<uint64_t>(kMost)) b = static_cast<uint64_t>(kMost) - 1 + (b & 1U);
      }
      return whole_power<A>(a, static_cast<int64_t>(b));
    }
  }
};

class Pow final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor& b = context.required(1);
    return dispatch(Bases{}, a.dtype(), [&]<class A>() -> Status {
      return dispatch(Numbers{}, b.dtype(), [&]<class B>() -> Status {
        if constexpr (kIsFloat<A>) {
          // Squares, cubes and roots with one exponent are what exports write for norms and gelu.
          if (b.size() == 1) {
            const auto e = static_cast<double>(static_cast<Compute<B>>(elements<B>(b)[0]));
            using C = Compute<A>;
            if (e == 2)
              return binary<A, B, A>(context, kCheapGrain, [](C x, auto) { return x * x; });
            if (e == 3)
              return binary<A, B, A>(context, kCheapGrain, [](C x, auto) { return x * x * x; });
            if (e == 1) return binary<A, B, A>(context, kCheapGrain, [](C x, auto) { return x; });
          }
        }
        return binary<A, B, A>(context, kCostlyGrain, PowOf{});
      });
    });
  }
};

// fmod = 0: the sign of the divisor, as Python's %. fmod = 1: the sign of the dividend, as C's.
template <bool fmod>
struct ModOf {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T r = std::fmod(a, b);
      if constexpr (fmod) return r;
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b == T{-1}) return 0;  // the smallest number % -1 traps
        const auto r = static_cast<T>(a % b);
        if constexpr (fmod) return r;
        return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
      } else {
        return static_cast<T>(a % b);
      }
    }
  }
};

class Mod final : public Op {
 public:
  explicit Mod(bool fmod) : fmod_(fmod) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<Mod>(init.node().int_or("fmod", 0) != 0);
  }
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor& b = context.required(1);
    OCTAVO_CHECK(same_dtype(a, b));
    return dispatch(Numbers{}, a.dtype(), [&]<class T>() -> Status {
      if constexpr (!kIsFloat<T>) OCTAVO_CHECK(no_zero<T>(b));
      return fmod_ ? binary<T, T, T>(context, kCostlyGrain, ModOf<true>{})
                   : binary<T, T, T>(context, kCostlyGrain, ModOf<false>{});
    });
  }

 private:
  bool fmod_;
};

}  // namespace

void register_pow(Registry& registry) {
  registry.add(
      {.op_type = "Pow", .since = 7, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
         return make_op<Pow>();
       }});
  registry.add(
      {.op_type = "Mod", .since = 10, .min_inputs = 2, .max_inputs = 2, .make = Mod::make});
}

}  // namespace octavo::ops
