// Where: condition ? x : y with three-way broadcasting, for elements of any size.

#include "runtime/ops/binary.h"
#include "runtime/ops/families.h"

namespace octavo::ops {

namespace {

class Where final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& condition = context.required(0);
    const Tensor& x = context.required(1);
    const Tensor& y = context.required(2);
    if (condition.dtype() != DType::boolean)
      return Error{Code::invalid_input, "the condition is not bool"};
    OCTAVO_CHECK(same_dtype(x, y));
    const std::array<const Shape*, 3> shapes = {&condition.shape(), &x.shape(), &y.shape()};
    OCTAVO_TRY(const Broadcast loop, Broadcast::make(shapes));
    constexpr std::array<size_t, 2> over = {1, 2};
    return dispatch_size(x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * out, context.output_over(0, x.dtype(), loop.shape(), over));
      const Bool* pc = elements<Bool>(condition);
      const T* px = elements<T>(x);
      const T* py = elements<T>(y);
      T* po = elements<T>(*out);
      loop.run(context.pool(), kCheapGrain, [&](const Broadcast::Piece& p) {
        const Bool* c = pc + p.in[0];
        const T* a = px + p.in[1];
        const T* b = py + p.in[2];
        T* o = po + p.out;
#pragma GCC ivdep
        for (int64_t i = 0; i < p.n; ++i)
          o[i] = bool(c[i * p.step[0]]) ? a[i * p.step[1]] : b[i * p.step[2]];
      });
      return Done{};
    });
  }
};

}  // namespace

void register_where(Registry& registry) {
  registry.add(
      {.op_type = "Where", .since = 9, .min_inputs = 3, .max_inputs = 3, .make = [](OpInit&) {
         return make_op<Where>();
       }});
}

}  // namespace octavo::ops
