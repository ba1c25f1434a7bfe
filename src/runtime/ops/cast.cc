// Cast and CastLike between all element types but strings and 8-bit floats. Out-of-range floats
// saturate and NaN becomes 0 when the target is an integer (the standard leaves both open; a C cast
// would be undefined); integers and 4-bit targets wrap; anything but zero is true.

#include <cmath>
#include <limits>

#include "runtime/ops/families.h"
#include "runtime/ops/unary.h"

namespace octavo::ops {

namespace {

// double -> float rounded to odd, so that a second rounding to 16 bits is still to nearest.
float to_odd(double v) {
  auto f = static_cast<float>(v);
  if (!std::isfinite(f) || static_cast<double>(f) == v) return f;
  auto bits = std::bit_cast<uint32_t>(f);
  if ((bits & 1U) != 0) return f;
  const bool above = std::fabs(static_cast<double>(f)) > std::fabs(v);
  return std::bit_cast<float>(above ? bits - 1 : bits + 1);
}

template <class R, class A>
R convert(A a) {
  if constexpr (std::is_same_v<R, Bool>) {
    return R(a != A{0});
  } else if constexpr (kIsHalf<R>) {
    if constexpr (std::is_same_v<A, float> || std::is_same_v<A, bool> || sizeof(A) < 4) {
      return R(static_cast<float>(a));
    } else {
      // Integers above 2^53 are rounded here too, but they are far beyond what float16 holds.
      return R(to_odd(static_cast<double>(a)));
    }
  } else if constexpr (std::is_floating_point_v<A> && std::is_integral_v<R>) {
    if (a != a) return R{0};
    // The bounds as powers of two are exact in every float type.
    const auto high = std::ldexp(A{1}, std::numeric_limits<R>::digits);
    if (a >= high) return std::numeric_limits<R>::max();
    if constexpr (std::is_signed_v<R>) {
      if (a < -high) return std::numeric_limits<R>::min();
    } else {
      if (a <= A{-1}) return R{0};
    }
    return static_cast<R>(a);
  } else {
    return static_cast<R>(a);
  }
}

// 4-bit integers as int8, even index in the low half.
void unpack4(bool is_signed, int64_t n, const uint8_t* in, int8_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    const int half = (in[i / 2] >> (i % 2 == 0 ? 0 : 4)) & 0xf;
    out[i] = static_cast<int8_t>(is_signed && half > 7 ? half - 16 : half);
  }
}

// The low four bits of the truncated value: what numpy's 4-bit types do, and the ONNX cases ask
// for.
template <class A>
void pack4(int64_t n, const A* in, uint8_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    const auto half = static_cast<unsigned>(convert<int64_t>(static_cast<Compute<A>>(in[i])) & 0xf);
    uint8_t& byte = out[i / 2];
    byte = static_cast<uint8_t>(i % 2 == 0 ? half : byte | (half << 4));
  }
}

template <class A>
Status to_type(OpContext& context, const A* in, const Tensor& x, DType to) {
  if (to == DType::u4 || to == DType::i4) {
    OCTAVO_TRY(Tensor * y, context.output(0, to, x.shape()));
    pack4(x.size(), in, elements<uint8_t>(*y));
    return Done{};
  }
  return dispatch(NumbersAndBool{}, to, [&]<class R>() -> Status {
    OCTAVO_TRY(Tensor * y, context.output(0, to, x.shape()));
    R* out = elements<R>(*y);
    context.pool().parallel_for(static_cast<size_t>(x.size()), kCheapGrain,
                                [&](size_t begin, size_t end) {
                                  for (size_t i = begin; i < end; ++i)
                                    out[i] = convert<R>(static_cast<Compute<A>>(in[i]));
                                });
    return Done{};
  });
}

Status cast(OpContext& context, DType to) {
  const Tensor& x = context.required(0);
  if (x.dtype() == to) return context.output_view(0, 0, x.shape());
  if (x.dtype() == DType::u4 || x.dtype() == DType::i4) {
    OCTAVO_TRY(const auto bytes, context.scratch(static_cast<size_t>(x.size()) + 1));
    auto* wide = reinterpret_cast<int8_t*>(bytes.data());
    unpack4(x.dtype() == DType::i4, x.size(), elements<uint8_t>(x), wide);
    return to_type(context, wide, x, to);
  }
  return dispatch(NumbersAndBool{}, x.dtype(),
                  [&]<class A>() -> Status { return to_type(context, elements<A>(x), x, to); });
}

class Cast final : public Op {
 public:
  explicit Cast(DType to) : to_(to) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const int64_t to = init.node().int_or("to", 0);
    if (to <= 0 || to > 127 || !is_known_dtype(static_cast<int32_t>(to)))
      return Error{Code::unsupported, "casts to element type number " + std::to_string(to)};
    return make_op<Cast>(static_cast<DType>(to));
  }
  Status run(OpContext& context) const override { return cast(context, to_); }

 private:
  DType to_;
};

class CastLike final : public Op {
 public:
  Status run(OpContext& context) const override {
    return cast(context, context.required(1).dtype());
  }
};

}  // namespace

void register_cast(Registry& registry) {
  registry.add(
      {.op_type = "Cast", .since = 6, .min_inputs = 1, .max_inputs = 1, .make = Cast::make});
  registry.add(
      {.op_type = "CastLike", .since = 15, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
         return make_op<CastLike>();
       }});
}

}  // namespace octavo::ops
