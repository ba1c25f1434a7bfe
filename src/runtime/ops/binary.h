#pragma once
// Element-wise ops of two inputs: broadcasting, threads, and the three inner loops that compilers
// vectorise (both walk, one stays).

#include "runtime/ops/broadcast.h"
#include "runtime/ops/elements.h"

namespace octavo::ops {

// Results per chunk: enough that taking a chunk (70 ns) is noise beside 16 Ki additions (5 us).
inline constexpr size_t kCheapGrain = 16384;
// The same for a few dozen instructions per element.
inline constexpr size_t kCostlyGrain = 2048;

// f takes Compute<A>, Compute<B> and returns Compute<R>. y may be a or b itself: element i is read
// before it is written and never again, which is what ivdep says (an overlap test at run time would
// send exactly the in-place case down the scalar loop).
template <class A, class B, class R, class F>
void binary_row(int64_t n, const A* a, int64_t a_step, const B* b, int64_t b_step, R* y,
                const F& f) {
  using CA = Compute<A>;
  using CB = Compute<B>;
  if (n == 0) return;
  if (a_step != 0 && b_step != 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = R(f(CA(a[i]), CB(b[i])));
  } else if (a_step != 0) {
    const CB v(b[0]);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = R(f(CA(a[i]), v));
  } else {
    const CA v(a[0]);
    if (b_step != 0) {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = R(f(v, CB(b[i])));
    } else {
      const R r(f(v, CB(b[0])));
      for (int64_t i = 0; i < n; ++i) y[i] = r;
    }
  }
}

template <class A, class B, class R, class F>
Status binary(OpContext& context, size_t grain, const F& f) {
  const Tensor& a = context.required(0);
  const Tensor& b = context.required(1);
  const std::array<const Shape*, 2> shapes = {&a.shape(), &b.shape()};
  OCTAVO_TRY(const Broadcast loop, Broadcast::make(shapes));
  // An input is overwritten only where it is walked exactly as the output is: equal byte counts of
  // equal element sizes mean equal shapes up to ones.
  constexpr std::array<size_t, 2> both = {0, 1};
  const size_t reusable_a = sizeof(A) == sizeof(R) ? 1 : 0;
  const size_t reusable_b = sizeof(B) == sizeof(R) ? 1 : 0;
  const std::span<const size_t> over(both.data() + (1 - reusable_a), reusable_a + reusable_b);
  OCTAVO_TRY(Tensor * y, context.output_over(0, element_dtype<R>(), loop.shape(), over));
  const A* pa = elements<A>(a);
  const B* pb = elements<B>(b);
  R* py = elements<R>(*y);
  loop.run(context.pool(), grain, [&](const Broadcast::Piece& p) {
    binary_row(p.n, pa + p.in[0], p.step[0], pb + p.in[1], p.step[1], py + p.out, f);
  });
  return Done{};
}

}  // namespace octavo::ops
