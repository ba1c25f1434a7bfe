// Ops that change the shape and no byte: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout in
// inference; and Shape and Size, which only look.

#include <algorithm>
#include <optional>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

namespace {

class Reshape final : public Op {
 public:
  explicit Reshape(bool allow_zero) : allow_zero_(allow_zero) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<Reshape>(init.opset() >= 14 && init.node().int_or("allowzero", 0) != 0);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(Ints shape, ints_of(context.required(1), "shape"));
    std::optional<size_t> open;
    int64_t known = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == -1) {
        if (open) return Error{Code::invalid_input, "shape " + to_string(shape) + " has two -1"};
        open = d;
        continue;
      }
      if (shape[d] == 0 && !allow_zero_) {
        if (d >= x.rank())
          return Error{Code::invalid_input, "shape " + to_string(shape) +
                                                " copies a dimension that " + to_string(x.shape()) +
                                                " does not have"};
        shape[d] = x.dim(d);
      }
      if (shape[d] < 0 || __builtin_mul_overflow(known, shape[d], &known))
        return Error{Code::invalid_input, "shape " + to_string(shape) + " is impossible"};
    }
    if (open) {
      if (known == 0 || x.size() % known != 0)
        return Error{Code::invalid_input,
                     to_string(x.shape()) + " does not reshape to " + to_string(shape)};
      shape[*open] = x.size() / known;
    } else if (known != x.size()) {
      return Error{Code::invalid_input,
                   to_string(x.shape()) + " does not reshape to " + to_string(shape)};
    }
    return context.output_view(0, 0, std::move(shape));
  }

 private:
  bool allow_zero_;
};

class Flatten final : public Op {
 public:
  explicit Flatten(int64_t axis) : axis_(axis) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<Flatten>(init.node().int_or("axis", 1));
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    // The axis may be the rank itself: everything before it.
    size_t axis = x.rank();
    if (axis_ != static_cast<int64_t>(x.rank())) {
      OCTAVO_TRY(axis, axis_of(axis_, x.rank()));
    }
    return context.output_view(0, 0,
                               {product(x.shape(), 0, axis), product(x.shape(), axis, x.rank())});
  }

 private:
  int64_t axis_;
};

// Axes as an attribute until opset 12, as an input since 13.
class Axes {
 public:
  explicit Axes(const OpInit& init)
      : attribute_(init.opset() < 13 && init.node().has("axes")
                       ? std::optional<Ints>(init.node().ints_or("axes", {}))
                       : std::nullopt) {}
  Result<std::optional<Ints>> get(const OpContext& context) const {
    const Tensor* input = context.input(1);
    if (input == nullptr) return attribute_;
    OCTAVO_TRY(Ints axes, ints_of(*input, "axes"));
    return std::optional<Ints>(std::move(axes));
  }

 private:
  std::optional<Ints> attribute_;
};

class Squeeze final : public Op {
 public:
  explicit Squeeze(const OpInit& init) : axes_(init) {}
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const auto given, axes_.get(context));
    std::vector<char> gone(x.rank(), 0);
    if (given) {
      OCTAVO_TRY(const auto axes, axes_of(*given, x.rank()));
      for (const size_t a : axes) {
        if (x.dim(a) != 1)
          return Error{Code::invalid_input, "dimension " + std::to_string(a) + " of " +
                                                to_string(x.shape()) + " is not 1"};
        gone[a] = 1;
      }
    } else {
      for (size_t d = 0; d < x.rank(); ++d) gone[d] = x.dim(d) == 1 ? 1 : 0;
    }
    Shape shape;
    for (size_t d = 0; d < x.rank(); ++d) {
      if (gone[d] == 0) shape.push_back(x.dim(d));
    }
    return context.output_view(0, 0, std::move(shape));
  }

 private:
  Axes axes_;
};

class Unsqueeze final : public Op {
 public:
  explicit Unsqueeze(const OpInit& init) : axes_(init) {}
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const auto given, axes_.get(context));
    if (!given) return Error{Code::invalid_input, "has no axes"};
    const size_t rank = x.rank() + given->size();
    OCTAVO_TRY(const auto axes, axes_of(*given, rank));
    Shape shape(rank, 0);
    for (const size_t a : axes) shape[a] = 1;
    size_t next = 0;
    for (int64_t& dim : shape) {
      if (dim == 0) dim = x.dim(next++);
    }
    return context.output_view(0, 0, std::move(shape));
  }

 private:
  Axes axes_;
};

class Identity final : public Op {
 public:
  Status run(OpContext& context) const override {
    return context.output_view(0, 0, context.required(0).shape());
  }
};

class Dropout final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor* training = context.input(2);
    if (training != nullptr && training->dtype() == DType::boolean && training->size() == 1 &&
        bool(elements<Bool>(*training)[0]))
      return Error{Code::unsupported, "training mode"};
    const Tensor& x = context.required(0);
    OCTAVO_CHECK(context.output_view(0, 0, x.shape()));
    if (!context.wants(1)) return Done{};
    OCTAVO_TRY(Tensor * mask, context.output(1, DType::boolean, x.shape()));
    std::fill_n(elements<uint8_t>(*mask), mask->size(), uint8_t{1});
    return Done{};
  }
};

class ShapeOf final : public Op {
 public:
  ShapeOf(int64_t start, std::optional<int64_t> end) : start_(start), end_(end) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    if (init.opset() < 15) return make_op<ShapeOf>(0, std::nullopt);
    return make_op<ShapeOf>(node.int_or("start", 0),
                            node.has("end") ? std::optional(node.int_or("end", 0)) : std::nullopt);
  }
  Status run(OpContext& context) const override {
    const Shape& shape = context.required(0).shape();
    const auto rank = static_cast<int64_t>(shape.size());
    const auto clamped = [rank](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
    };
    const int64_t from = clamped(start_);
    const int64_t to = std::max(from, clamped(end_.value_or(rank)));
    OCTAVO_TRY(Tensor * y, context.output(0, DType::i64, {to - from}));
    std::copy(shape.begin() + from, shape.begin() + to, elements<int64_t>(*y));
    return Done{};
  }

 private:
  int64_t start_;
  std::optional<int64_t> end_;
};

class Size final : public Op {
 public:
  Status run(OpContext& context) const override {
    OCTAVO_TRY(Tensor * y, context.output(0, DType::i64, {}));
    *elements<int64_t>(*y) = context.required(0).size();
    return Done{};
  }
};

}  // namespace

void register_reshape(Registry& registry) {
  registry.add(
      {.op_type = "Reshape", .since = 5, .min_inputs = 2, .max_inputs = 2, .make = Reshape::make});
  registry.add(
      {.op_type = "Flatten", .since = 1, .min_inputs = 1, .max_inputs = 1, .make = Flatten::make});
  registry.add({.op_type = "Squeeze",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 2,
                .make = [](OpInit& init) { return make_op<Squeeze>(init); }});
  registry.add({.op_type = "Unsqueeze",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 2,
                .make = [](OpInit& init) { return make_op<Unsqueeze>(init); }});
  registry.add(
      {.op_type = "Identity", .since = 1, .min_inputs = 1, .max_inputs = 1, .make = [](OpInit&) {
         return make_op<Identity>();
       }});
  registry.add({.op_type = "Dropout",
                .since = 7,
                .min_inputs = 1,
                .max_inputs = 3,
                .max_outputs = 2,
                .make = [](OpInit&) { return make_op<Dropout>(); }});
  registry.add(
      {.op_type = "Shape", .since = 1, .min_inputs = 1, .max_inputs = 1, .make = ShapeOf::make});
  registry.add(
      {.op_type = "Size", .since = 1, .min_inputs = 1, .max_inputs = 1, .make = [](OpInit&) {
         return make_op<Size>();
       }});
}

}  // namespace octavo::ops
