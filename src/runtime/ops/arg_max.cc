// ArgMax, ArgMin, TopK, CumSum along one axis; NonZero and OneHot.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/indices.h"

namespace octavo::ops {

namespace {

// [outer][axis][inner] of a tensor seen along one axis.
struct Along {
  int64_t outer, dim, inner;
  static Along of(const Shape& shape, size_t axis) {
    return {product(shape, 0, axis), shape[axis], product(shape, axis + 1, shape.size())};
  }
};

// Whether a comes before b when the largest is first; NaN counts as largest, as in numpy.
template <class C>
bool larger(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
  }
  return a > b;
}

template <bool max>
class ArgMax final : public Op {
 public:
  ArgMax(int64_t axis, bool keep, bool last) : axis_(axis), keep_(keep), last_(last) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    return make_op<ArgMax>(node.int_or("axis", 0), node.int_or("keepdims", 1) != 0,
                           init.opset() >= 12 && node.int_or("select_last_index", 0) != 0);
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    const Along along = Along::of(x.shape(), axis);
    if (along.dim == 0) return Error{Code::invalid_input, "an empty axis has no extreme"};
    Shape shape = x.shape();
    if (keep_) {
      shape[axis] = 1;
    } else {
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    }
    OCTAVO_TRY(Tensor * y, context.output(0, DType::i64, std::move(shape)));
    return dispatch(Numbers{}, x.dtype(), [&]<class T>() -> Status {
      using C = Compute<T>;
      int64_t* out = elements<int64_t>(*y);
      for (int64_t o = 0; o < along.outer; ++o) {
        for (int64_t i = 0; i < along.inner; ++i) {
          const T* p = elements<T>(x) + o * along.dim * along.inner + i;
          int64_t best = 0;
          for (int64_t k = 1; k < along.dim; ++k) {
            const C candidate(p[k * along.inner]);
            const C so_far(p[best * along.inner]);
            const bool better = max ? larger(candidate, so_far) : larger(so_far, candidate);
            if (better || (last_ && candidate == so_far)) best = k;
          }
          *out++ = best;
        }
      }
      return Done{};
    });
  }

 private:
  int64_t axis_;
  bool keep_;
  bool last_;
};

class TopK final : public Op {
 public:
  TopK(int64_t axis, bool largest) : axis_(axis), largest_(largest) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<TopK>(init.node().int_or("axis", -1), init.node().int_or("largest", 1) != 0);
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    OCTAVO_TRY(const int64_t k, int_of(context.required(1), "k"));
    const Along along = Along::of(x.shape(), axis);
    if (k < 0 || k > along.dim)
      return Error{Code::invalid_input,
                   "k = " + std::to_string(k) + " of a dimension of " + std::to_string(along.dim)};
    Shape shape = x.shape();
    shape[axis] = k;
    return dispatch(Numbers{}, x.dtype(), [&]<class T>() -> Status {
      using C = Compute<T>;
      Tensor* values = nullptr;
      Tensor* indices = nullptr;
      if (context.wants(0)) {
        OCTAVO_TRY(values, context.output(0, x.dtype(), shape));
      }
      if (context.wants(1)) {
        OCTAVO_TRY(indices, context.output(1, DType::i64, shape));
      }
      OCTAVO_TRY(const auto bytes,
                 context.scratch(static_cast<size_t>(along.dim) * sizeof(int64_t)));
      auto* order = reinterpret_cast<int64_t*>(bytes.data());
      for (int64_t o = 0; o < along.outer; ++o) {
        for (int64_t i = 0; i < along.inner; ++i) {
          const T* p = elements<T>(x) + o * along.dim * along.inner + i;
          std::iota(order, order + along.dim, int64_t{0});
          // Equal values keep the order of their indices: the standard's tie rule.
          std::partial_sort(order, order + k, order + along.dim, [&](int64_t a, int64_t b) {
            const C va(p[a * along.inner]);
            const C vb(p[b * along.inner]);
            if (largest_ ? larger(va, vb) : larger(vb, va)) return true;
            if (largest_ ? larger(vb, va) : larger(va, vb)) return false;
            return a < b;
          });
          for (int64_t j = 0; j < k; ++j) {
            const int64_t to = (o * k + j) * along.inner + i;
            if (values != nullptr) elements<T>(*values)[to] = p[order[j] * along.inner];
            if (indices != nullptr) elements<int64_t>(*indices)[to] = order[j];
          }
        }
      }
      return Done{};
    });
  }

 private:
  int64_t axis_;
  bool largest_;
};

class CumSum final : public Op {
 public:
  CumSum(bool exclusive, bool reverse) : exclusive_(exclusive), reverse_(reverse) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<CumSum>(init.node().int_or("exclusive", 0) != 0,
                           init.node().int_or("reverse", 0) != 0);
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const int64_t given, int_of(context.required(1), "axis"));
    OCTAVO_TRY(const size_t axis, axis_of(given, x.rank()));
    const Along along = Along::of(x.shape(), axis);
    return dispatch(Numbers{}, x.dtype(), [&]<class T>() -> Status {
      using C = Compute<T>;
      using Sum = std::conditional_t<std::is_integral_v<C>, uint64_t, C>;  // integers wrap
      OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), x.shape()));
      for (int64_t o = 0; o < along.outer; ++o) {
        for (int64_t i = 0; i < along.inner; ++i) {
          const int64_t base = o * along.dim * along.inner + i;
          Sum sum{0};
          for (int64_t k = 0; k < along.dim; ++k) {
            const int64_t at = base + (reverse_ ? along.dim - 1 - k : k) * along.inner;
            const Sum before = sum;
            sum += static_cast<Sum>(static_cast<C>(elements<T>(x)[at]));
            elements<T>(*y)[at] = T(static_cast<C>(exclusive_ ? before : sum));
          }
        }
      }
      return Done{};
    });
  }

 private:
  bool exclusive_;
  bool reverse_;
};

class NonZero final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    return dispatch(NumbersAndBool{}, x.dtype(), [&]<class T>() -> Status {
      const T* p = elements<T>(x);
      const auto set = [](T v) { return Compute<T>(v) != Compute<T>{0}; };
      const auto count = static_cast<int64_t>(std::count_if(p, p + x.size(), set));
      OCTAVO_TRY(Tensor * y,
                 context.output(0, DType::i64, {static_cast<int64_t>(x.rank()), count}));
      int64_t* out = elements<int64_t>(*y);
      int64_t next = 0;
      each_position(x.shape(), strides_of(x.shape()), [&](int64_t i, const Ints& at, int64_t) {
        if (!set(p[i])) return;
        for (size_t d = 0; d < at.size(); ++d) out[static_cast<int64_t>(d) * count + next] = at[d];
        ++next;
      });
      return Done{};
    });
  }
};

class OneHot final : public Op {
 public:
  explicit OneHot(int64_t axis) : axis_(axis) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<OneHot>(init.node().int_or("axis", -1));
  }
  Status run(OpContext& context) const override {
    const Tensor& index = context.required(0);
    const Tensor& depth_tensor = context.required(1);
    const Tensor& values = context.required(2);
    if (depth_tensor.size() != 1 || values.size() != 2)
      return Error{Code::invalid_input, "depth must be one value, values two"};
    OCTAVO_TRY(const size_t axis, axis_of(axis_, index.rank() + 1));
    int64_t depth = 0;
    OCTAVO_CHECK(dispatch(Numbers{}, depth_tensor.dtype(), [&]<class T>() -> Status {
      const auto d = static_cast<double>(Compute<T>(elements<T>(depth_tensor)[0]));
      if (!(d >= 0 && d < 1e12)) return Error{Code::invalid_input, "depth is impossible"};
      depth = static_cast<int64_t>(d);
      return Done{};
    }));
    Shape shape = index.shape();
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), depth);
    const int64_t inner = product(index.shape(), axis, index.rank());
    return dispatch_size(values.dtype(), [&]<class V>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, values.dtype(), shape));
      V* out = elements<V>(*y);
      const V off = elements<V>(values)[0];
      const V on = elements<V>(values)[1];
      std::fill_n(out, y->size(), off);
      return dispatch(Numbers{}, index.dtype(), [&]<class T>() -> Status {
        for (int64_t i = 0; i < index.size(); ++i) {
          const auto v = static_cast<double>(Compute<T>(elements<T>(index)[i]));
          // Out of range means no "on" at all; also for NaN, which fails both comparisons.
          if (!(v >= -static_cast<double>(depth) && v < static_cast<double>(depth))) continue;
          const auto at = static_cast<int64_t>(v < 0 ? v + static_cast<double>(depth) : v);
          out[(i / inner * depth + at) * inner + i % inner] = on;
        }
        return Done{};
      });
    });
  }

 private:
  int64_t axis_;
};

}  // namespace

void register_arg_max(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, size_t inputs, auto* make) {
    registry.add({.op_type = op_type,
                  .since = since,
                  .min_inputs = inputs,
                  .max_inputs = inputs,
                  .max_outputs = op_type == std::string_view("TopK") ? size_t{2} : size_t{1},
                  .make = make});
  };
  add("ArgMax", 1, 1, ArgMax<true>::make);
  add("ArgMin", 1, 1, ArgMax<false>::make);
  add("TopK", 11, 2, TopK::make);
  add("CumSum", 11, 2, CumSum::make);
  add("OneHot", 9, 3, OneHot::make);
  registry.add(
      {.op_type = "NonZero", .since = 9, .min_inputs = 1, .max_inputs = 1, .make = [](OpInit&) {
         return make_op<NonZero>();
       }});
}

}  // namespace octavo::ops
