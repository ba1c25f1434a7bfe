// Transpose, DepthToSpace and SpaceToDepth: a copy with other strides (strided_copy.h). A
// permutation that moves only dimensions of one is a view.

#include <algorithm>
#include <numeric>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/strided_copy.h"

namespace octavo::ops {

namespace {

Status permute(OpContext& context, const Shape& in, const std::vector<size_t>& order,
               Shape result) {
  const Tensor& x = context.required(0);
  const Ints strides = strides_of(in);
  Ints dims, steps;
  bool same = true;  // dimensions larger than one keep their order
  size_t before = 0;
  for (const size_t d : order) {
    dims.push_back(in[d]);
    steps.push_back(strides[d]);
    if (in[d] == 1) continue;
    same = same && d >= before;
    before = d;
  }
  if (same) return context.output_view(0, 0, std::move(result));
  const size_t bits = dtype_bits(x.dtype());
  if (bits < 8) return unsupported_dtype(x.dtype());
  OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), std::move(result)));
  strided_copy(context.pool(), dims, steps, bits / 8, x.bytes().data(), y->mutable_bytes().data());
  return Done{};
}

class Transpose final : public Op {
 public:
  explicit Transpose(Ints order) : order_(std::move(order)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    Ints order = init.node().ints_or("perm", {});
    Ints sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<int64_t>(i))
        return Error{Code::invalid_input, "perm " + to_string(order) + " is not a permutation"};
    }
    return make_op<Transpose>(std::move(order));
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    std::vector<size_t> order(x.rank());
    if (order_.empty()) {
      std::iota(order.rbegin(), order.rend(), size_t{0});
    } else if (order_.size() == x.rank()) {
      std::copy(order_.begin(), order_.end(), order.begin());
    } else {
      return Error{Code::invalid_input,
                   "perm " + to_string(order_) + " does not fit " + to_string(x.shape())};
    }
    Shape result;
    for (const size_t d : order) result.push_back(x.dim(d));
    return permute(context, x.shape(), order, std::move(result));
  }

 private:
  Ints order_;
};

class DepthToSpace final : public Op {
 public:
  DepthToSpace(int64_t block, bool column_row) : block_(block), column_row_(column_row) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const std::string mode = init.node().string_or("mode", "DCR");
    const int64_t block = init.node().int_or("blocksize", 0);
    if (block < 1 || block > 4096 || (mode != "DCR" && mode != "CRD"))
      return Error{Code::invalid_input, "blocksize " + std::to_string(block) + ", mode " + mode};
    return make_op<DepthToSpace>(block, mode == "CRD");
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const int64_t b = block_;
    if (x.rank() != 4 || x.dim(1) % (b * b) != 0)
      return Error{Code::invalid_input,
                   to_string(x.shape()) + " has no blocks of " + std::to_string(b)};
    const int64_t c = x.dim(1) / (b * b);
    const Shape in = column_row_ ? Shape{x.dim(0), c, b, b, x.dim(2), x.dim(3)}
                                 : Shape{x.dim(0), b, b, c, x.dim(2), x.dim(3)};
    const std::vector<size_t> order =
        column_row_ ? std::vector<size_t>{0, 1, 4, 2, 5, 3} : std::vector<size_t>{0, 3, 4, 1, 5, 2};
    return permute(context, in, order, {x.dim(0), c, x.dim(2) * b, x.dim(3) * b});
  }

 private:
  int64_t block_;
  bool column_row_;
};

class SpaceToDepth final : public Op {
 public:
  SpaceToDepth(int64_t block, bool column_row) : block_(block), column_row_(column_row) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    // The mode is new in 28; before, it is what DCR says.
    const std::string mode = init.opset() >= 28 ? init.node().string_or("mode", "DCR") : "DCR";
    const int64_t block = init.node().int_or("blocksize", 0);
    if (block < 1 || block > 4096 || (mode != "DCR" && mode != "CRD"))
      return Error{Code::invalid_input, "blocksize " + std::to_string(block) + ", mode " + mode};
    return make_op<SpaceToDepth>(block, mode == "CRD");
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const int64_t b = block_;
    if (x.rank() != 4 || x.dim(2) % b != 0 || x.dim(3) % b != 0)
      return Error{Code::invalid_input,
                   to_string(x.shape()) + " has no blocks of " + std::to_string(b)};
    const Shape in{x.dim(0), x.dim(1), x.dim(2) / b, b, x.dim(3) / b, b};
    const std::vector<size_t> order =
        column_row_ ? std::vector<size_t>{0, 1, 3, 5, 2, 4} : std::vector<size_t>{0, 3, 5, 1, 2, 4};
    return permute(context, in, order, {x.dim(0), x.dim(1) * b * b, x.dim(2) / b, x.dim(3) / b});
  }

 private:
  int64_t block_;
  bool column_row_;
};

}  // namespace

void register_transpose(Registry& registry) {
  registry.add({.op_type = "Transpose",
                .since = 1,
                .min_inputs = 1,
                .max_inputs = 1,
                .make = Transpose::make});
  registry.add({.op_type = "DepthToSpace",
                .since = 1,
                .min_inputs = 1,
                .max_inputs = 1,
                .make = DepthToSpace::make});
  registry.add({.op_type = "SpaceToDepth",
                .since = 1,
                .min_inputs = 1,
                .max_inputs = 1,
                .make = SpaceToDepth::make});
}

}  // namespace octavo::ops
