// ReduceSum, Mean, Max, Min, Prod, L1, L2, SumSquare, LogSum, LogSumExp over any axes. The reduced
// axes are brought together: [outer][n] rows in 16 partial results (lane = index mod 16, combined
// by halving, as in the kernels), or [outer][n][inner] column by column, so that a result depends
// on its own inputs alone and not on the number of threads.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "runtime/ops/binary.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/strided_copy.h"

namespace octavo::ops {

namespace {

constexpr size_t kLanes = 16;

// Integers add up modulo 2^64 and are cut to their own type, which is how they wrap.
template <class C>
using Summed = std::conditional_t<std::is_integral_v<C>, uint64_t, C>;
// Where an integer result needs a division, root or logarithm.
template <class C>
using Smooth = std::conditional_t<std::is_integral_v<C>, double, C>;

struct Sum {
  template <class C>
  using Acc = Summed<C>;
  template <class A>
  static A init() {
    return A{0};
  }
  template <class A, class C>
  static A step(A a, C x) {
    return a + static_cast<A>(x);
  }
  template <class A>
  static A merge(A a, A b) {
    return a + b;
  }
  template <class C, class A>
  static C finish(A a, int64_t /*n*/) {
    return static_cast<C>(a);
  }
};

struct Mean : Sum {
  template <class C>
  using Acc = Smooth<C>;
  template <class C, class A>
  static C finish(A a, int64_t n) {
    if constexpr (std::is_integral_v<C>) {
      if (n == 0) return C{0};
    }
    return static_cast<C>(a / static_cast<A>(n));
  }
};

struct Prod : Sum {
  template <class A>
  static A init() {
    return A{1};
  }
  template <class A, class C>
  static A step(A a, C x) {
    return a * static_cast<A>(x);
  }
  template <class A>
  static A merge(A a, A b) {
    return a * b;
  }
};

struct L1 : Sum {
  template <class A, class C>
  static A step(A a, C x) {
    if constexpr (std::is_signed_v<C> && std::is_integral_v<C>) {
      return x < 0 ? a - static_cast<A>(x) : a + static_cast<A>(x);
    } else if constexpr (std::is_floating_point_v<C>) {
      return a + std::fabs(x);
    } else {
      return a + static_cast<A>(x);
    }
  }
};

struct SumSquare : Sum {
  template <class A, class C>
  static A step(A a, C x) {
    return a + static_cast<A>(x) * static_cast<A>(x);
  }
};

struct L2 : SumSquare {
  template <class C>
  using Acc = Smooth<C>;
  template <class C, class A>
  static C finish(A a, int64_t /*n*/) {
    return static_cast<C>(std::sqrt(a));
  }
};

struct LogSum : Sum {
  template <class C>
  using Acc = Smooth<C>;
  template <class C, class A>
  static C finish(A a, int64_t /*n*/) {
    return static_cast<C>(std::log(a));
  }
};

// NaN wins over everything.
struct Max {
  template <class C>
  using Acc = C;
  template <class A>
  static A init() {
    if constexpr (std::is_floating_point_v<A>) return -std::numeric_limits<A>::infinity();
    return std::numeric_limits<A>::lowest();
  }
  template <class A, class C>
  static A step(A a, C x) {
    return a > x || a != a ? a : x;
  }
  template <class A>
  static A merge(A a, A b) {
    return step(a, b);
  }
  template <class C, class A>
  static C finish(A a, int64_t /*n*/) {
    return a;
  }
};

struct Min : Max {
  template <class A>
  static A init() {
    if constexpr (std::is_floating_point_v<A>) return std::numeric_limits<A>::infinity();
    return std::numeric_limits<A>::max();
  }
  template <class A, class C>
  static A step(A a, C x) {
    return a < x || a != a ? a : x;
  }
  template <class A>
  static A merge(A a, A b) {
    return step(a, b);
  }
};

// Tag: two passes, the largest taken off first.
struct LogSumExp {};

template <class K, class T>
Compute<T> reduce_row(const T* x, int64_t n) {
  using C = Compute<T>;
  if constexpr (std::is_same_v<K, LogSumExp>) {
    using S = Smooth<C>;
    S top = -std::numeric_limits<S>::infinity();
    for (int64_t i = 0; i < n; ++i) top = Max::step(top, static_cast<S>(static_cast<C>(x[i])));
    if (std::isinf(top)) return static_cast<C>(top);
    S sum{0};
    for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<S>(static_cast<C>(x[i])) - top);
    return static_cast<C>(top + std::log(sum));
  } else {
    using A = typename K::template Acc<C>;
    std::array<A, kLanes> lanes;
    lanes.fill(K::template init<A>());
    int64_t i = 0;
    for (; i + static_cast<int64_t>(kLanes) <= n; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l)
        lanes[l] = K::step(lanes[l], C(x[i + static_cast<int64_t>(l)]));
    }
    for (size_t l = 0; i < n; ++i, ++l) lanes[l] = K::step(lanes[l], C(x[i]));
    for (size_t half = kLanes / 2; half > 0; half /= 2) {
      for (size_t l = 0; l < half; ++l) lanes[l] = K::merge(lanes[l], lanes[l + half]);
    }
    return K::template finish<C>(lanes[0], n);
  }
}

// Columns [c0, c1) of [n][inner].
template <class K, class T>
void reduce_columns(const T* x, int64_t n, int64_t inner, int64_t c0, int64_t c1, T* y) {
  using C = Compute<T>;
  if constexpr (!std::is_same_v<K, LogSumExp>) {
    using A = typename K::template Acc<C>;
    constexpr int64_t kColumns = 64;
    for (int64_t c = c0; c < c1; c += kColumns) {
      const int64_t count = std::min(kColumns, c1 - c);
      std::array<A, kColumns> acc;
      acc.fill(K::template init<A>());
      for (int64_t r = 0; r < n; ++r) {
        const T* row = x + r * inner + c;
        for (int64_t k = 0; k < count; ++k)
          acc[static_cast<size_t>(k)] = K::step(acc[static_cast<size_t>(k)], C(row[k]));
      }
      for (int64_t k = 0; k < count; ++k)
        y[c + k] = T(K::template finish<C>(acc[static_cast<size_t>(k)], n));
    }
  }
}

struct Layout {
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
  bool direct = false;  // the input already looks like that
};

Layout layout_of(const Shape& shape, const std::vector<char>& reduced) {
  Layout l;
  size_t d = 0;
  for (; d < shape.size() && reduced[d] == 0; ++d) l.outer *= shape[d];
  for (; d < shape.size() && (reduced[d] != 0 || shape[d] == 1); ++d) l.n *= shape[d];
  for (; d < shape.size() && (reduced[d] == 0 || shape[d] == 1); ++d) l.inner *= shape[d];
  l.direct = d == shape.size();
  return l;
}

template <class K>
class Reduce final : public Op {
 public:
  Reduce(Ints axes, bool keep, bool noop) : axes_(std::move(axes)), keep_(keep), noop_(noop) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    return make_op<Reduce>(node.ints_or("axes", {}), node.int_or("keepdims", 1) != 0,
                           node.int_or("noop_with_empty_axes", 0) != 0);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    Ints given = axes_;
    if (const Tensor* input = context.input(1)) {
      OCTAVO_TRY(given, ints_of(*input, "axes"));
    }
    if (given.empty() && noop_) return element_wise(context);
    OCTAVO_TRY(const auto axes, axes_of(given, x.rank()));
    std::vector<char> reduced(x.rank(), given.empty() ? 1 : 0);
    for (const size_t a : axes) reduced[a] = 1;
    Shape shape;
    for (size_t d = 0; d < x.rank(); ++d) {
      if (reduced[d] == 0) {
        shape.push_back(x.dim(d));
      } else if (keep_) {
        shape.push_back(1);
      }
    }
    return for_type(x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
      return reduce<T>(context, x, reduced, *y);
    });
  }

 private:
  template <class Body>
  static Status for_type(DType dtype, Body&& body) {
    if constexpr (std::is_same_v<K, Max> || std::is_same_v<K, Min>) {
      // bool since 20: the order of the bytes 0 and 1
      if (dtype == DType::boolean) return body.template operator()<uint8_t>();
    }
    return dispatch(Numbers{}, dtype, std::forward<Body>(body));
  }

  // noop_with_empty_axes: nothing is reduced, but the function of each single element is taken.
  Status element_wise(OpContext& context) const {
    const Tensor& x = context.required(0);
    return for_type(x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), x.shape()));
      for (int64_t i = 0; i < x.size(); ++i)
        elements<T>(*y)[i] = T(reduce_row<K>(elements<T>(x) + i, 1));
      return Done{};
    });
  }

  template <class T>
  static Status reduce(OpContext& context, const Tensor& x, const std::vector<char>& reduced,
                       Tensor& y) {
    Layout l = layout_of(x.shape(), reduced);
    const T* in = elements<T>(x);
    const bool columns = l.direct && l.inner > 1 && !std::is_same_v<K, LogSumExp>;
    if (!columns && (!l.direct || l.inner > 1)) {
      // Kept dimensions first, reduced ones last, in a copy.
      const Ints strides = strides_of(x.shape());
      Ints dims, steps;
      l = {1, 1, 1, true};
      for (const int which : {0, 1}) {
        for (size_t d = 0; d < x.rank(); ++d) {
          if (reduced[d] != which) continue;
          dims.push_back(x.dim(d));
          steps.push_back(strides[d]);
          (which == 0 ? l.outer : l.n) *= x.dim(d);
        }
      }
      OCTAVO_TRY(const auto bytes, context.scratch(x.bytes().size()));
      strided_copy(context.pool(), dims, steps, sizeof(T), x.bytes().data(), bytes.data());
      in = reinterpret_cast<const T*>(bytes.data());
    }
    T* out = elements<T>(y);
    if (columns) {
      constexpr int64_t kBand = 256;
      const int64_t bands = (l.inner + kBand - 1) / kBand;
      const auto grain = static_cast<size_t>(std::max<int64_t>(
          static_cast<int64_t>(kCheapGrain) / std::max<int64_t>(l.n * kBand, 1), 1));
      context.pool().parallel_for(
          static_cast<size_t>(l.outer * bands), grain, [&](size_t begin, size_t end) {
            for (size_t task = begin; task < end; ++task) {
              const int64_t o = static_cast<int64_t>(task) / bands;
              const int64_t c = static_cast<int64_t>(task) % bands * kBand;
              reduce_columns<K>(in + o * l.n * l.inner, l.n, l.inner, c,
                                std::min(l.inner, c + kBand), out + o * l.inner);
            }
          });
      return Done{};
    }
    const auto grain = static_cast<size_t>(
        std::max<int64_t>(static_cast<int64_t>(kCheapGrain) / std::max<int64_t>(l.n, 1), 1));
    context.pool().parallel_for(static_cast<size_t>(l.outer), grain, [&](size_t begin, size_t end) {
      for (size_t o = begin; o < end; ++o)
        out[o] = T(reduce_row<K>(in + static_cast<int64_t>(o) * l.n, l.n));
    });
    return Done{};
  }

  Ints axes_;
  bool keep_;
  bool noop_;
};

}  // namespace

void register_reduce(Registry& registry) {
  // Axes are an attribute until 17 (ReduceSum: 12) and an optional input afterwards.
  const auto add = [&](const char* op_type, int64_t input_since, auto* make) {
    registry.add({.op_type = op_type,
                  .since = 1,
                  .through = input_since - 1,
                  .min_inputs = 1,
                  .max_inputs = 1,
                  .make = make});
    registry.add(
        {.op_type = op_type, .since = input_since, .min_inputs = 1, .max_inputs = 2, .make = make});
  };
  add("ReduceSum", 13, Reduce<Sum>::make);
  add("ReduceMean", 18, Reduce<Mean>::make);
  add("ReduceMax", 18, Reduce<Max>::make);
  add("ReduceMin", 18, Reduce<Min>::make);
  add("ReduceProd", 18, Reduce<Prod>::make);
  add("ReduceL1", 18, Reduce<L1>::make);
  add("ReduceL2", 18, Reduce<L2>::make);
  add("ReduceSumSquare", 18, Reduce<SumSquare>::make);
  add("ReduceLogSum", 18, Reduce<LogSum>::make);
  add("ReduceLogSumExp", 18, Reduce<LogSumExp>::make);
}

}  // namespace octavo::ops
