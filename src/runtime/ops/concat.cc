// Concat and Split along one axis: rows of bytes moved together or apart.

#include <cstring>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

namespace {

// Copies `rows` pieces of `bytes`, from and to places that far apart.
void copy_rows(ThreadPool& pool, int64_t rows, size_t bytes, const std::byte* in, size_t in_stride,
               std::byte* out, size_t out_stride) {
  if (bytes == 0) return;
  constexpr size_t kGrainBytes = size_t{1} << 16;
  const size_t grain = std::max<size_t>(kGrainBytes / bytes, 1);
  pool.parallel_for(static_cast<size_t>(rows), grain, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      std::memcpy(out + r * out_stride, in + r * in_stride, bytes);
  });
}

class Concat final : public Op {
 public:
  explicit Concat(int64_t axis) : axis_(axis) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    if (!init.node().has("axis")) return Error{Code::invalid_input, "has no axis"};
    return make_op<Concat>(init.node().int_or("axis", 0));
  }

  Status run(OpContext& context) const override {
    const Tensor& first = context.required(0);
    OCTAVO_TRY(const size_t axis, axis_of(axis_, first.rank()));
    if (dtype_bits(first.dtype()) < 8) return unsupported_dtype(first.dtype());
    Shape shape = first.shape();
    shape[axis] = 0;
    for (size_t i = 0; i < context.inputs(); ++i) {
      const Tensor* in = context.input(i);
      if (in == nullptr) return Error{Code::invalid_input, "an input is left out"};
      OCTAVO_CHECK(same_dtype(first, *in));
      Shape rest = in->shape();
      if (rest.size() == shape.size()) rest[axis] = shape[axis];
      if (rest != shape || __builtin_add_overflow(shape[axis], in->dim(axis), &shape[axis]))
        return Error{Code::invalid_input, to_string(in->shape()) + " does not continue " +
                                              to_string(first.shape()) + " along axis " +
                                              std::to_string(axis)};
    }
    OCTAVO_TRY(Tensor * y, context.output(0, first.dtype(), shape));
    const int64_t rows = product(shape, 0, axis);
    const size_t element = dtype_bits(first.dtype()) / 8;
    const size_t inner = static_cast<size_t>(product(shape, axis + 1, shape.size())) * element;
    const size_t stride = static_cast<size_t>(shape[axis]) * inner;
    std::byte* out = y->mutable_bytes().data();
    for (size_t i = 0; i < context.inputs(); ++i) {
      const Tensor& in = *context.input(i);
      const size_t bytes = static_cast<size_t>(in.dim(axis)) * inner;
      copy_rows(context.pool(), rows, bytes, in.bytes().data(), bytes, out, stride);
      out += bytes;
    }
    return Done{};
  }

 private:
  int64_t axis_;
};

class Split final : public Op {
 public:
  Split(int64_t axis, Ints sizes, int64_t parts)
      : axis_(axis), sizes_(std::move(sizes)), parts_(parts) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    Ints sizes = init.opset() < 13 ? node.ints_or("split", {}) : Ints{};
    const auto outputs = static_cast<int64_t>(init.outputs());
    const int64_t parts = init.opset() >= 18 ? node.int_or("num_outputs", outputs) : outputs;
    if (parts != outputs || outputs == 0)
      return Error{Code::invalid_input, "num_outputs is " + std::to_string(parts) +
                                            ", but it has " + std::to_string(outputs) + " outputs"};
    return make_op<Split>(node.int_or("axis", 0), std::move(sizes), parts);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const Ints sizes, sizes_for(context, x.dim(axis)));
    const int64_t rows = product(x.shape(), 0, axis);
    const size_t element = dtype_bits(x.dtype()) / 8;
    const size_t inner = static_cast<size_t>(product(x.shape(), axis + 1, x.rank())) * element;
    const size_t stride = static_cast<size_t>(x.dim(axis)) * inner;
    const std::byte* in = x.bytes().data();
    for (size_t i = 0; i < sizes.size(); ++i) {
      const size_t bytes = static_cast<size_t>(sizes[i]) * inner;
      if (context.wants(i)) {
        Shape shape = x.shape();
        shape[axis] = sizes[i];
        OCTAVO_TRY(Tensor * y, context.output(i, x.dtype(), std::move(shape)));
        copy_rows(context.pool(), rows, bytes, in, stride, y->mutable_bytes().data(), bytes);
      }
      in += bytes;
    }
    return Done{};
  }

 private:
  Result<Ints> sizes_for(const OpContext& context, int64_t dim) const {
    Ints sizes = sizes_;
    if (const Tensor* given = context.input(1)) {
      OCTAVO_TRY(sizes, ints_of(*given, "split"));
    }
    if (sizes.empty()) {
      // Equal parts, the last one smaller when it does not divide (since 18; before, it must).
      const int64_t each = (dim + parts_ - 1) / parts_;
      for (int64_t i = 0; i < parts_; ++i)
        sizes.push_back(std::max<int64_t>(std::min(each, dim - i * each), 0));
    }
    int64_t sum = 0;
    for (const int64_t s : sizes) {
      if (s < 0 || __builtin_add_overflow(sum, s, &sum)) sum = -1;
      if (sum < 0) break;
    }
    if (sum != dim || static_cast<int64_t>(sizes.size()) != parts_)
      return Error{
          Code::invalid_input,
          "parts " + to_string(sizes) + " do not make up a dimension of " + std::to_string(dim)};
    return sizes;
  }

  int64_t axis_;
  Ints sizes_;
  int64_t parts_;
};

}  // namespace

void register_concat(Registry& registry) {
  registry.add({.op_type = "Concat", .since = 4, .min_inputs = 1, .make = Concat::make});
  registry.add({.op_type = "Split",
                .since = 2,
                .min_inputs = 1,
                .max_inputs = 2,
                .max_outputs = kAnyNumber,
                .make = Split::make});
}

}  // namespace octavo::ops
