// Functions of one number: Abs Neg Sign, Sqrt Reciprocal Exp Log Erf, Floor Ceil Round,
// trigonometry and its hyperbolic kin, IsNaN, IsInf.

#include <cmath>
#include <limits>

#include "runtime/ops/families.h"
#include "runtime/ops/unary.h"

namespace octavo::ops {

namespace {

// F::Types says what it takes; F is called with Compute<T> and gives the same type back.
template <class F>
class Unary final : public Op {
 public:
  Status run(OpContext& context) const override {
    return dispatch(typename F::List{}, context.required(0).dtype(),
                    [&]<class T>() -> Status { return unary<T, T>(context, F::kGrain, F{}); });
  }
};

template <class L, size_t grain>
struct Takes {
  using List = L;
  static constexpr size_t kGrain = grain;
};

struct AbsOf : Takes<Numbers, kCheapGrain> {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fabs(x);
    } else if constexpr (std::is_signed_v<T>) {
      using U = std::make_unsigned_t<T>;  // |smallest| wraps to itself, as in numpy
      return x < 0 ? static_cast<T>(static_cast<U>(U{0} - static_cast<U>(x))) : x;
    } else {
      return x;
    }
  }
};

struct NegOf : Takes<SignedNumbers, kCheapGrain> {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      return -x;
    } else {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(U{0} - static_cast<U>(x)));
    }
  }
};

struct SignOf : Takes<Numbers, kCheapGrain> {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return x;
    }
    return static_cast<T>(static_cast<int>(x > T{0}) - static_cast<int>(x < T{0}));
  }
};

struct ReciprocalOf : Takes<Floats, kCheapGrain> {
  template <class T>
  T operator()(T x) const {
    return T{1} / x;
  }
};

// Half-way cases to even, which is what rint does in the default rounding mode of a run.
struct RoundOf : Takes<Floats, kCheapGrain> {
  template <class T>
  T operator()(T x) const {
    return std::rint(x);
  }
};

#define OCTAVO_STD_FUNCTION(Name, function, grain) \
  struct Name : Takes<Floats, grain> {             \
    template <class T>                             \
    T operator()(T x) const {                      \
      return std::function(x);                     \
    }                                              \
  }
OCTAVO_STD_FUNCTION(SqrtOf, sqrt, kCheapGrain);
OCTAVO_STD_FUNCTION(FloorOf, floor, kCheapGrain);
OCTAVO_STD_FUNCTION(CeilOf, ceil, kCheapGrain);
OCTAVO_STD_FUNCTION(LogOf, log, kCostlyGrain);
OCTAVO_STD_FUNCTION(SinOf, sin, kCostlyGrain);
OCTAVO_STD_FUNCTION(CosOf, cos, kCostlyGrain);
OCTAVO_STD_FUNCTION(TanOf, tan, kCostlyGrain);
OCTAVO_STD_FUNCTION(AsinOf, asin, kCostlyGrain);
OCTAVO_STD_FUNCTION(AcosOf, acos, kCostlyGrain);
OCTAVO_STD_FUNCTION(AtanOf, atan, kCostlyGrain);
OCTAVO_STD_FUNCTION(SinhOf, sinh, kCostlyGrain);
OCTAVO_STD_FUNCTION(CoshOf, cosh, kCostlyGrain);
OCTAVO_STD_FUNCTION(AsinhOf, asinh, kCostlyGrain);
OCTAVO_STD_FUNCTION(AcoshOf, acosh, kCostlyGrain);
OCTAVO_STD_FUNCTION(AtanhOf, atanh, kCostlyGrain);
OCTAVO_STD_FUNCTION(ExpOf, exp, kCostlyGrain);
OCTAVO_STD_FUNCTION(ErfOf, erf, kCostlyGrain);
#undef OCTAVO_STD_FUNCTION

// Exp and Erf have kernels; float64 goes through the standard library.
template <class F>
class Kernel final : public Op {
 public:
  explicit Kernel(kernels::UnaryF32 kernels::Table::*which) : which_(which) {}
  Status run(OpContext& context) const override {
    return unary_kernel(context, context.kernels().*which_, F{});
  }

 private:
  kernels::UnaryF32 kernels::Table::*which_;
};

// The standard lets Erf take integers too; no model does.
class IsNaN final : public Op {
 public:
  Status run(OpContext& context) const override {
    return dispatch(Floats{}, context.required(0).dtype(), [&]<class T>() -> Status {
      return unary<T, Bool>(context, kCheapGrain, [](auto x) { return std::isnan(x); });
    });
  }
};

class IsInf final : public Op {
 public:
  IsInf(bool negative, bool positive) : negative_(negative), positive_(positive) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<IsInf>(init.node().int_or("detect_negative", 1) != 0,
                          init.node().int_or("detect_positive", 1) != 0);
  }
  Status run(OpContext& context) const override {
    return dispatch(Floats{}, context.required(0).dtype(), [&]<class T>() -> Status {
      return unary<T, Bool>(context, kCheapGrain, [this](auto x) {
        return std::isinf(x) && (x < 0 ? negative_ : positive_);
      });
    });
  }

 private:
  bool negative_;
  bool positive_;
};

template <class F>
Result<std::unique_ptr<Op>> make_unary(OpInit& /*init*/) {
  return make_op<Unary<F>>();
}

Result<std::unique_ptr<Op>> make_exp(OpInit& /*init*/) {
  return make_op<Kernel<ExpOf>>(&kernels::Table::exp_f32);
}

Result<std::unique_ptr<Op>> make_erf(OpInit& /*init*/) {
  return make_op<Kernel<ErfOf>>(&kernels::Table::erf_f32);
}

}  // namespace

void register_unary_math(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, auto make) {
    registry.add(
        {.op_type = op_type, .since = since, .min_inputs = 1, .max_inputs = 1, .make = make});
  };
  add("Abs", 6, make_unary<AbsOf>);
  add("Neg", 6, make_unary<NegOf>);
  add("Sign", 9, make_unary<SignOf>);
  add("Reciprocal", 6, make_unary<ReciprocalOf>);
  add("Sqrt", 6, make_unary<SqrtOf>);
  add("Exp", 6, make_exp);
  add("Log", 6, make_unary<LogOf>);
  add("Erf", 9, make_erf);
  add("Floor", 6, make_unary<FloorOf>);
  add("Ceil", 6, make_unary<CeilOf>);
  add("Round", 11, make_unary<RoundOf>);
  add("Sin", 7, make_unary<SinOf>);
  add("Cos", 7, make_unary<CosOf>);
  add("Tan", 7, make_unary<TanOf>);
  add("Asin", 7, make_unary<AsinOf>);
  add("Acos", 7, make_unary<AcosOf>);
  add("Atan", 7, make_unary<AtanOf>);
  add("Sinh", 9, make_unary<SinhOf>);
  add("Cosh", 9, make_unary<CoshOf>);
  add("Asinh", 9, make_unary<AsinhOf>);
  add("Acosh", 9, make_unary<AcoshOf>);
  add("Atanh", 9, make_unary<AtanhOf>);
  add("IsInf", 10, IsInf::make);
  add("IsNaN", 9, [](OpInit&) -> Result<std::unique_ptr<Op>> { return make_op<IsNaN>(); });
}

}  // namespace octavo::ops
