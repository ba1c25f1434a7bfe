// Gather (rows by index along an axis), GatherElements and GatherND. An index out of range is an
// error that names it; negative ones count from the end.

#include <atomic>
#include <cstring>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/indices.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

namespace {

class Gather final : public Op {
 public:
  explicit Gather(int64_t axis) : axis_(axis) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<Gather>(init.node().int_or("axis", 0));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& index = context.required(1);
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    OCTAVO_TRY(const Indices indices, Indices::read(context, index, x.dim(axis)));
    Shape shape(x.shape().begin(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis));
    shape.insert(shape.end(), index.shape().begin(), index.shape().end());
    shape.insert(shape.end(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                 x.shape().end());
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
    const auto count = static_cast<size_t>(index.size());
    const size_t bytes =
        static_cast<size_t>(product(x.shape(), axis + 1, x.rank())) * (dtype_bits(x.dtype()) / 8);
    if (bytes == 0 || count == 0) return Done{};
    const auto outer = static_cast<size_t>(product(x.shape(), 0, axis));
    const size_t plane = static_cast<size_t>(x.dim(axis)) * bytes;
    const std::byte* in = x.bytes().data();
    std::byte* out = y->mutable_bytes().data();
    constexpr size_t kGrainBytes = size_t{1} << 16;
    context.pool().parallel_for(
        outer * count, std::max<size_t>(kGrainBytes / bytes, 1), [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i)
            std::memcpy(out + i * bytes,
                        in + i / count * plane + static_cast<size_t>(indices[i % count]) * bytes,
                        bytes);
        });
    return Done{};
  }

 private:
  int64_t axis_;
};

class GatherElements final : public Op {
 public:
  explicit GatherElements(int64_t axis) : axis_(axis) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<GatherElements>(init.node().int_or("axis", 0));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& index = context.required(1);
    OCTAVO_TRY(const size_t axis, axis_of(axis_, x.rank()));
    OCTAVO_CHECK(fits_within(index.shape(), x.shape(), axis));
    OCTAVO_TRY(const Indices indices, Indices::read(context, index, x.dim(axis)));
    const Ints strides = strides_of(x.shape());
    return dispatch_size(x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), index.shape()));
      const T* in = elements<T>(x);
      T* out = elements<T>(*y);
      // The position along the axis comes from the index, all others from where we are.
      each_position(index.shape(), strides, [&](int64_t i, const Ints& at, int64_t offset) {
        out[i] = in[offset + (indices[static_cast<size_t>(i)] - at[axis]) * strides[axis]];
      });
      return Done{};
    });
  }

 private:
  int64_t axis_;
};

class GatherND final : public Op {
 public:
  explicit GatherND(int64_t batch) : batch_(batch) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const int64_t batch = init.opset() >= 12 ? init.node().int_or("batch_dims", 0) : 0;
    if (batch < 0) return Error{Code::invalid_input, "batch_dims is negative"};
    return make_op<GatherND>(batch);
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& index = context.required(1);
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    const auto batch = static_cast<size_t>(batch_);
    if (batch >= index.rank() || batch >= x.rank() ||
        !std::equal(x.shape().begin(), x.shape().begin() + batch_, index.shape().begin()))
      return Error{Code::invalid_input, "batch dimensions of " + to_string(x.shape()) + " and " +
                                            to_string(index.shape()) + " differ"};
    OCTAVO_TRY(const NdIndices places, NdIndices::read(index, x.shape(), batch));
    Shape shape(index.shape().begin(), index.shape().end() - 1);
    shape.insert(shape.end(), x.shape().begin() + static_cast<std::ptrdiff_t>(batch + places.width),
                 x.shape().end());
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
    const size_t bytes = static_cast<size_t>(places.slice) * (dtype_bits(x.dtype()) / 8);
    if (bytes == 0 || places.offsets.empty()) return Done{};
    // Tuples of one batch follow each other.
    const auto batches = static_cast<size_t>(product(x.shape(), 0, batch));
    const size_t each = places.offsets.size() / batches;
    const size_t plane = x.bytes().size() / batches;
    std::byte* out = y->mutable_bytes().data();
    for (size_t i = 0; i < places.offsets.size(); ++i, out += bytes)
      std::memcpy(out,
                  x.bytes().data() + i / each * plane +
                      static_cast<size_t>(places.offsets[i]) * (dtype_bits(x.dtype()) / 8),
                  bytes);
    return Done{};
  }

 private:
  int64_t batch_;
};

}  // namespace

void register_gather(Registry& registry) {
  registry.add(
      {.op_type = "Gather", .since = 1, .min_inputs = 2, .max_inputs = 2, .make = Gather::make});
  registry.add({.op_type = "GatherElements",
                .since = 11,
                .min_inputs = 2,
                .max_inputs = 2,
                .make = GatherElements::make});
  registry.add({.op_type = "GatherND",
                .since = 11,
                .min_inputs = 2,
                .max_inputs = 2,
                .make = GatherND::make});
}

}  // namespace octavo::ops
