// Equal, Less, Greater, LessOrEqual, GreaterOrEqual: element-wise with broadcasting, to bool.

#include "runtime/ops/binary.h"
#include "runtime/ops/families.h"

namespace octavo::ops {

namespace {

template <class F, class L>
class Comparison final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    OCTAVO_CHECK(same_dtype(a, context.required(1)));
    return dispatch(L{}, a.dtype(), [&]<class T>() -> Status {
      return binary<T, T, Bool>(context, kCheapGrain, F{});
    });
  }
};

struct EqualOf {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct LessOf {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct GreaterOf {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct LessOrEqualOf {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct GreaterOrEqualOf {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};

}  // namespace

void register_comparison(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, auto op) {
    registry.add(
        {.op_type = op_type, .since = since, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
           return make_op<typename decltype(op)::type>();
         }});
  };
  add("Equal", 7, std::type_identity<Comparison<EqualOf, NumbersAndBool>>{});
  add("Less", 7, std::type_identity<Comparison<LessOf, Numbers>>{});
  add("Greater", 7, std::type_identity<Comparison<GreaterOf, Numbers>>{});
  add("LessOrEqual", 12, std::type_identity<Comparison<LessOrEqualOf, Numbers>>{});
  add("GreaterOrEqual", 12, std::type_identity<Comparison<GreaterOrEqualOf, Numbers>>{});
}

}  // namespace octavo::ops
