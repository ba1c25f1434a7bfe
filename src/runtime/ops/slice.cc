// Slice, Expand and Tile: copies with other strides (strided_copy.h).

#include <algorithm>
#include <cstring>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/strided_copy.h"

namespace octavo::ops {

namespace {

class Slice final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const Ints starts, ints_of(context.required(1), "starts"));
    OCTAVO_TRY(const Ints ends, ints_of(context.required(2), "ends"));
    Ints axis_list, steps;
    if (const Tensor* axes = context.input(3)) {
      OCTAVO_TRY(axis_list, ints_of(*axes, "axes"));
    } else {
      for (size_t i = 0; i < starts.size(); ++i) axis_list.push_back(static_cast<int64_t>(i));
    }
    if (const Tensor* given = context.input(4)) {
      OCTAVO_TRY(steps, ints_of(*given, "steps"));
    } else {
      steps.assign(starts.size(), 1);
    }
    if (ends.size() != starts.size() || axis_list.size() != starts.size() ||
        steps.size() != starts.size())
      return Error{Code::invalid_input, "starts, ends, axes and steps differ in length"};
    OCTAVO_TRY(const auto axes, axes_of(axis_list, x.rank()));

    Shape shape = x.shape();
    Ints strides = strides_of(x.shape());
    int64_t from = 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      const size_t d = axes[i];
      if (steps[i] == 0) return Error{Code::invalid_input, "a step is zero"};
      const auto [start, count] = clamp(starts[i], ends[i], steps[i], x.dim(d));
      from += start * strides[d];
      shape[d] = count;
      // Kept inside int64 for absurd steps: with one element left the step is never taken.
      strides[d] = count > 1 ? strides[d] * steps[i] : strides[d];
    }
    if (shape == x.shape() &&
        std::all_of(steps.begin(), steps.end(), [](int64_t s) { return s == 1; }))
      return context.output_view(0, 0, std::move(shape));
    const Shape dims = shape;
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
    if (y->size() == 0) return Done{};
    const size_t element = dtype_bits(x.dtype()) / 8;
    strided_copy(context.pool(), dims, strides, element,
                 x.bytes().data() + from * static_cast<int64_t>(element),
                 y->mutable_bytes().data());
    return Done{};
  }

 private:
  struct Part {
    int64_t start;
    int64_t count;
  };
  // numpy's rules but for one: going backwards, a start before the first element is the first
  // element (numpy: nothing). The standard says so, and onnxruntime does it.
  static Part clamp(int64_t start, int64_t end, int64_t step, int64_t dim) {
    const auto from_end = [dim](int64_t i) {
      return i < 0 ? i + dim : i;
    };  // dim >= 0: no overflow
    if (step > 0) {
      start = std::clamp<int64_t>(from_end(start), 0, dim);
      end = std::clamp<int64_t>(from_end(end), 0, dim);
      return {start, end > start ? (end - start - 1) / step + 1 : 0};
    }
    if (dim == 0) return {0, 0};
    start = std::clamp<int64_t>(from_end(start), 0, dim - 1);
    end = std::clamp<int64_t>(from_end(end), -1, dim - 1);
    const uint64_t down = uint64_t{0} - static_cast<uint64_t>(step);  // also for the smallest step
    if (start <= end) return {0, 0};
    return {start, static_cast<int64_t>(static_cast<uint64_t>(start - end - 1) / down) + 1};
  }
};

class Expand final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const Ints wanted, ints_of(context.required(1), "shape"));
    OCTAVO_CHECK(element_count(wanted));
    const std::array<const Shape*, 2> shapes = {&x.shape(), &wanted};
    OCTAVO_TRY(Shape shape, broadcast_shape(shapes));
    if (shape == x.shape()) return context.output_view(0, 0, std::move(shape));
    const Ints own = strides_of(x.shape());
    Ints strides(shape.size(), 0);
    const size_t lead = shape.size() - x.rank();
    for (size_t d = 0; d < x.rank(); ++d) {
      if (x.dim(d) != 1) strides[lead + d] = own[d];
    }
    const Shape dims = shape;
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
    strided_copy(context.pool(), dims, strides, dtype_bits(x.dtype()) / 8, x.bytes().data(),
                 y->mutable_bytes().data());
    return Done{};
  }
};

class Tile final : public Op {
 public:
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (dtype_bits(x.dtype()) < 8) return unsupported_dtype(x.dtype());
    OCTAVO_TRY(const Ints repeats, ints_of(context.required(1), "repeats"));
    if (repeats.size() != x.rank())
      return Error{Code::invalid_input,
                   std::to_string(repeats.size()) + " repeats for " + to_string(x.shape())};
    // Each dimension becomes two: how often (stride 0), and the dimension itself.
    const Ints own = strides_of(x.shape());
    Shape shape = x.shape();
    Ints dims, strides;
    for (size_t d = 0; d < x.rank(); ++d) {
      if (repeats[d] < 0 || __builtin_mul_overflow(shape[d], repeats[d], &shape[d]))
        return Error{Code::invalid_input, "repeats " + to_string(repeats) + " are impossible"};
      dims.insert(dims.end(), {repeats[d], x.dim(d)});
      strides.insert(strides.end(), {0, own[d]});
    }
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(shape)));
    strided_copy(context.pool(), dims, strides, dtype_bits(x.dtype()) / 8, x.bytes().data(),
                 y->mutable_bytes().data());
    return Done{};
  }
};

}  // namespace

void register_slice(Registry& registry) {
  registry.add(
      {.op_type = "Slice", .since = 10, .min_inputs = 3, .max_inputs = 5, .make = [](OpInit&) {
         return make_op<Slice>();
       }});
  registry.add(
      {.op_type = "Expand", .since = 8, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
         return make_op<Expand>();
       }});
  registry.add(
      {.op_type = "Tile", .since = 6, .min_inputs = 2, .max_inputs = 2, .make = [](OpInit&) {
         return make_op<Tile>();
       }});
}

}  // namespace octavo::ops
