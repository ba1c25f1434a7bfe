// And, Or, Xor, Not on bool; BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot and BitShift on
// integers.

#include "runtime/ops/families.h"
#include "runtime/ops/unary.h"

namespace octavo::ops {

namespace {

using Bools = Types<Bool>;

template <class F, class L>
class Logical final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    OCTAVO_CHECK(same_dtype(a, context.required(1)));
    return dispatch(L{}, a.dtype(), [&]<class T>() -> Status {
      return binary<T, T, T>(context, kCheapGrain, F{});
    });
  }
};

template <class L>
class Inverse final : public Op {
 public:
  Status run(OpContext& context) const override {
    return dispatch(L{}, context.required(0).dtype(), [&]<class T>() -> Status {
      return unary<T, T>(context, kCheapGrain, [](auto x) {
        if constexpr (std::is_same_v<decltype(x), bool>) {
          return !x;
        } else {
          return static_cast<decltype(x)>(~x);
        }
      });
    });
  }
};

struct AndOf {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct OrOf {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct XorOf {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
// A shift by the width or more leaves nothing but the sign, also a negative one (seen as unsigned).
template <class T>
bool too_far(T b) {
  return static_cast<std::make_unsigned_t<T>>(b) >= sizeof(T) * 8;
}
struct LeftOf {
  template <class T>
  T operator()(T a, T b) const {
    return too_far(b) ? T{0} : static_cast<T>(static_cast<uint64_t>(a) << b);
  }
};
struct RightOf {
  template <class T>
  T operator()(T a, T b) const {
    return too_far(b) ? static_cast<T>(a < T{0} ? -1 : 0) : static_cast<T>(a >> b);
  }
};

Result<std::unique_ptr<Op>> make_shift(OpInit& init) {
  const std::string direction = init.node().string_or("direction", "");
  if (direction == "LEFT") return make_op<Logical<LeftOf, Integers>>();
  if (direction == "RIGHT") return make_op<Logical<RightOf, Integers>>();
  return Error{Code::invalid_input, "direction is \"" + direction + "\", not LEFT or RIGHT"};
}

}  // namespace

void register_logical(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, size_t inputs, auto op) {
    registry.add({.op_type = op_type,
                  .since = since,
                  .min_inputs = inputs,
                  .max_inputs = inputs,
                  .make = [](OpInit&) { return make_op<typename decltype(op)::type>(); }});
  };
  add("And", 7, 2, std::type_identity<Logical<AndOf, Bools>>{});
  add("Or", 7, 2, std::type_identity<Logical<OrOf, Bools>>{});
  add("Xor", 7, 2, std::type_identity<Logical<XorOf, Bools>>{});
  add("Not", 1, 1, std::type_identity<Inverse<Bools>>{});
  add("BitwiseAnd", 18, 2, std::type_identity<Logical<AndOf, Integers>>{});
  add("BitwiseOr", 18, 2, std::type_identity<Logical<OrOf, Integers>>{});
  add("BitwiseXor", 18, 2, std::type_identity<Logical<XorOf, Integers>>{});
  add("BitwiseNot", 18, 1, std::type_identity<Inverse<Integers>>{});
  registry.add(
      {.op_type = "BitShift", .since = 11, .min_inputs = 2, .max_inputs = 2, .make = make_shift});
}

}  // namespace octavo::ops
