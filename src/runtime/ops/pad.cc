// Pad (constant, edge, reflect, wrap; negative pads cut) through one table of source positions a
// dimension, and Trilu.

#include <algorithm>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/indices.h"

namespace octavo::ops {

namespace {

enum class Mode : uint8_t { constant, edge, reflect, wrap };

class Pad final : public Op {
 public:
  explicit Pad(Mode mode) : mode_(mode) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const std::string mode = init.node().string_or("mode", "constant");
    if (mode == "constant") return make_op<Pad>(Mode::constant);
    if (mode == "edge") return make_op<Pad>(Mode::edge);
    if (mode == "reflect") return make_op<Pad>(Mode::reflect);
    if (mode == "wrap" && init.opset() >= 19) return make_op<Pad>(Mode::wrap);
    return Error{Code::unsupported, "mode \"" + mode + "\""};
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    OCTAVO_TRY(const Ints pads, ints_of(context.required(1), "pads"));
    std::vector<size_t> axes;
    if (const Tensor* given = context.input(3)) {
      OCTAVO_TRY(const Ints list, ints_of(*given, "axes"));
      OCTAVO_TRY(axes, axes_of(list, x.rank()));
    } else {
      for (size_t d = 0; d < x.rank(); ++d) axes.push_back(d);
    }
    if (pads.size() != 2 * axes.size())
      return Error{Code::invalid_input, std::to_string(pads.size()) + " pads for " +
                                            std::to_string(axes.size()) + " axes"};
    const Tensor* value = context.input(2);
    if (value != nullptr) {
      OCTAVO_CHECK(same_dtype(x, *value));
      if (value->size() != 1) return Error{Code::invalid_input, "the value is not a single one"};
    }
    Ints before(x.rank(), 0);
    Shape shape = x.shape();
    for (size_t i = 0; i < axes.size(); ++i) {
      before[axes[i]] = pads[i];
      int64_t& dim = shape[axes[i]];
      if (__builtin_add_overflow(dim, pads[i], &dim) ||
          __builtin_add_overflow(dim, pads[i + axes.size()], &dim) || dim < 0)
        return Error{Code::invalid_input,
                     "pads " + to_string(pads) + " are impossible for " + to_string(x.shape())};
    }
    return dispatch_size(x.dtype(), [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), shape));
      if (y->size() == 0) return Done{};
      std::vector<Ints> tables;  // now that the result is known to fit memory
      for (size_t d = 0; d < x.rank(); ++d) {
        OCTAVO_TRY(Ints table, sources(shape[d], before[d], x.dim(d)));
        tables.push_back(std::move(table));
      }
      const T fill = value != nullptr ? *elements<T>(*value) : T{};
      copy(x, tables, fill, elements<T>(*y), shape);
      return Done{};
    });
  }

 private:
  // Where each position of the result comes from; -1 for the constant.
  Result<Ints> sources(int64_t length, int64_t before, int64_t dim) const {
    Ints table(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i) {
      int64_t from = i - before;
      if (from < 0 || from >= dim) {
        if (mode_ == Mode::constant) {
          from = -1;
        } else if (dim == 0) {
          return Error{Code::invalid_input, "an empty dimension has nothing to repeat"};
        } else if (mode_ == Mode::edge || dim == 1) {
          from = std::clamp<int64_t>(from, 0, dim - 1);
        } else if (mode_ == Mode::wrap) {
          from = ((from % dim) + dim) % dim;
        } else {
          const int64_t period = 2 * (dim - 1);
          from = ((from % period) + period) % period;
          from = std::min(from, period - from);
        }
      }
      table[static_cast<size_t>(i)] = from;
    }
    return table;
  }

  template <class T>
  static void copy(const Tensor& x, const std::vector<Ints>& tables, T fill, T* out,
                   const Shape& shape) {
    const T* in = elements<T>(x);
    const Ints strides = strides_of(x.shape());
    const Ints none(shape.size(), 0);
    each_position(shape, none, [&](int64_t i, const Ints& at, int64_t) {
      int64_t offset = 0;
      for (size_t d = 0; d < at.size(); ++d) {
        const int64_t from = tables[d][static_cast<size_t>(at[d])];
        if (from < 0) {
          out[i] = fill;
          return;
        }
        offset += from * strides[d];
      }
      out[i] = in[offset];
    });
  }

  Mode mode_;
};

class Trilu final : public Op {
 public:
  explicit Trilu(bool upper) : upper_(upper) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    return make_op<Trilu>(init.node().int_or("upper", 1) != 0);
  }
  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    if (x.rank() < 2) return Error{Code::invalid_input, "needs at least two dimensions"};
    int64_t k = 0;
    if (const Tensor* given = context.input(1)) {
      OCTAVO_TRY(k, int_of(*given, "k"));
    }
    const int64_t rows = x.dim(x.rank() - 2);
    const int64_t columns = x.dim(x.rank() - 1);
    k = std::clamp(k, -rows, columns);  // beyond that nothing changes
    return dispatch_size(x.dtype(), [&]<class T>() -> Status {
      constexpr std::array<size_t, 1> over = {0};
      OCTAVO_TRY(Tensor * y, context.output_over(0, x.dtype(), x.shape(), over));
      const T* in = elements<T>(x);
      T* out = elements<T>(*y);
      const int64_t planes = columns == 0 || rows == 0 ? 0 : x.size() / (rows * columns);
      for (int64_t r = 0; r < planes * rows; ++r, in += columns, out += columns) {
        // The first column on or above the diagonal.
        const int64_t split = std::clamp<int64_t>(r % rows + k, 0, columns);
        const int64_t kept = std::clamp<int64_t>(r % rows + k + 1, 0, columns);
        for (int64_t c = 0; c < columns; ++c)
          out[c] = (upper_ ? c >= split : c < kept) ? in[c] : T{};
      }
      return Done{};
    });
  }

 private:
  bool upper_;
};

}  // namespace

void register_pad(Registry& registry) {
  registry.add(
      {.op_type = "Pad", .since = 11, .min_inputs = 2, .max_inputs = 4, .make = Pad::make});
  registry.add(
      {.op_type = "Trilu", .since = 14, .min_inputs = 1, .max_inputs = 2, .make = Trilu::make});
}

}  // namespace octavo::ops
