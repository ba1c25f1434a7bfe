// Max, Min, Sum, Mean of any number of inputs with broadcasting, and Clip. NaN wins, as in numpy.

#include <cmath>
#include <optional>

#include "runtime/ops/binary.h"
#include "runtime/ops/families.h"

namespace octavo::ops {

namespace {

struct MaxOf {
  template <class T>
  T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};
struct MinOf {
  template <class T>
  T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};
struct SumOf {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};

// The first two into the output, then each further input onto it.
template <class F, class L, bool mean>
class Variadic final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& first = context.required(0);
    std::vector<const Shape*> shapes;
    for (size_t i = 0; i < context.inputs(); ++i) {
      const Tensor* in = context.input(i);
      if (in == nullptr) return Error{Code::invalid_input, "an input is left out"};
      OCTAVO_CHECK(same_dtype(first, *in));
      shapes.push_back(&in->shape());
    }
    OCTAVO_TRY(Shape shape, broadcast_shape(shapes));
    return dispatch(L{}, first.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, first.dtype(), shape));
      T* out = elements<T>(*y);
      for (size_t i = 0; i < context.inputs(); ++i) {
        const Tensor& in = *context.input(i);
        const std::array<const Shape*, 2> pair = {&shape, &in.shape()};
        OCTAVO_TRY(const Broadcast loop, Broadcast::make(pair));
        const T* p = elements<T>(in);
        const bool last = mean && i + 1 == context.inputs();
        const auto count = static_cast<Compute<T>>(context.inputs());
        loop.run(context.pool(), kCheapGrain, [&](const Broadcast::Piece& piece) {
          T* o = out + piece.out;
          const T* x = p + piece.in[1];
          using C = Compute<T>;
          if (i == 0) {
            binary_row(piece.n, x, piece.step[1], x, piece.step[1], o, [](C a, C) { return a; });
          } else {
            binary_row(piece.n, o, 1, x, piece.step[1], o, F{});
          }
          if (!last) return;
          for (int64_t k = 0; k < piece.n; ++k) o[k] = T(static_cast<C>(C(o[k]) / count));
        });
      }
      return Done{};
    });
  }
};

class Clip final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor* low = context.input(1);
    const Tensor* high = context.input(2);
    for (const Tensor* bound : {low, high}) {
      if (bound == nullptr) continue;
      OCTAVO_CHECK(same_dtype(x, *bound));
      if (bound->size() != 1)
        return Error{Code::invalid_input, "min and max must be single values"};
    }
    return dispatch(Numbers{}, x.dtype(), [&]<class T>() -> Status {
      using C = Compute<T>;
      std::optional<C> lo, hi;
      if (low != nullptr) lo = C(elements<T>(*low)[0]);
      if (high != nullptr) hi = C(elements<T>(*high)[0]);
      constexpr std::array<size_t, 1> over = {0};
      OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), over));
      const T* in = elements<T>(x);
      T* out = elements<T>(*y);
      context.pool().parallel_for(static_cast<size_t>(x.size()), kCheapGrain,
                                  [&](size_t begin, size_t end) {
                                    for (size_t i = begin; i < end; ++i) {
                                      C v(in[i]);
                                      // max wins when min > max, as the standard says
                                      if (lo && v < *lo) v = *lo;
                                      if (hi && v > *hi) v = *hi;
                                      out[i] = T(v);
                                    }
                                  });
      return Done{};
    });
  }
};

}  // namespace

void register_max(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, auto op) {
    registry.add({.op_type = op_type, .since = since, .min_inputs = 1, .make = [](OpInit&) {
                    return make_op<typename decltype(op)::type>();
                  }});
  };
  add("Max", 8, std::type_identity<Variadic<MaxOf, Numbers, false>>{});
  add("Min", 8, std::type_identity<Variadic<MinOf, Numbers, false>>{});
  add("Sum", 8, std::type_identity<Variadic<SumOf, Floats, false>>{});
  add("Mean", 8, std::type_identity<Variadic<SumOf, Floats, true>>{});
  registry.add(
      {.op_type = "Clip", .since = 11, .min_inputs = 1, .max_inputs = 3, .make = [](OpInit&) {
         return make_op<Clip>();
       }});
}

}  // namespace octavo::ops
