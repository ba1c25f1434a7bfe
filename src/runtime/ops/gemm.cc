// Gemm: alpha A' B' + beta C, C broadcast to the result. A constant B is packed when the session is
// made; a row vector C with beta 1 goes into the kernel as its bias.

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_f32.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

struct Options {
  bool transpose_a;
  bool transpose_b;
  float alpha;
  float beta;
};

struct Sizes {
  size_t m, n, k;
};

Result<Sizes> sizes_of(const Shape& a, const Shape& b, const Options& o) {
  if (a.size() != 2 || b.size() != 2 || a[o.transpose_a ? 0 : 1] != b[o.transpose_b ? 1 : 0]) {
    return Error{Code::invalid_input,
                 "shapes do not fit: " + to_string(a) + " and " + to_string(b)};
  }
  return Sizes{static_cast<size_t>(a[o.transpose_a ? 1 : 0]),
               static_cast<size_t>(b[o.transpose_b ? 0 : 1]),
               static_cast<size_t>(a[o.transpose_a ? 0 : 1])};
}

// Distances between rows and columns of C as it broadcasts to [m, n]. Errors: it does not.
Result<std::pair<size_t, size_t>> strides_of(const Shape& c, const Sizes& s) {
  const Shape result = {static_cast<int64_t>(s.m), static_cast<int64_t>(s.n)};
  const std::array<const Shape*, 2> shapes = {&result, &c};
  OCTAVO_TRY(const Shape both, broadcast_shape(shapes));
  if (both != result)
    return Error{Code::invalid_input,
                 "C " + to_string(c) + " does not broadcast to " + to_string(result)};
  const bool columns = !c.empty() && c.back() != 1;
  const bool rows = c.size() == 2 && c[0] != 1;
  const size_t width = c.empty() ? 1 : static_cast<size_t>(c.back());
  return std::pair<size_t, size_t>{rows ? width : 0, columns ? 1 : 0};
}

// The formula for any type, without hurry.
template <class T>
void plain_gemm(ThreadPool& pool, const Sizes& s, const Options& o, const T* a, const T* b,
                const T* c, std::pair<size_t, size_t> c_strides, T* y) {
  pool.parallel_for(s.m, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      for (size_t j = 0; j < s.n; ++j) {
        double sum = 0;
        uint64_t whole = 0;  // integers exactly, wrapping
        for (size_t p = 0; p < s.k; ++p) {
          const T x = a[o.transpose_a ? p * s.m + i : i * s.k + p];
          const T w = b[o.transpose_b ? j * s.k + p : p * s.n + j];
          if constexpr (std::is_integral_v<T>) {
            whole += static_cast<uint64_t>(x) * static_cast<uint64_t>(w);
          } else {
            sum += x * w;
          }
        }
        const T add = c == nullptr ? T{} : c[i * c_strides.first + j * c_strides.second];
        if constexpr (std::is_integral_v<T>) {
          if (o.alpha == 1 && o.beta == 1) {
            y[i * s.n + j] = static_cast<T>(whole + static_cast<uint64_t>(add));
            continue;
          }
          sum = static_cast<double>(static_cast<T>(whole));
        }
        y[i * s.n + j] = static_cast<T>(o.alpha * sum + o.beta * static_cast<double>(add));
      }
    }
  });
}

class Gemm final : public Op {
 public:
  Gemm(const Options& options, DType packed_dtype, Shape b_shape, PackedF32 packed)
      : options_(options),
        packed_dtype_(packed_dtype),
        b_shape_(std::move(b_shape)),
        packed_(std::move(packed)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    const Options o{node.int_or("transA", 0) != 0, node.int_or("transB", 0) != 0,
                    node.float_or("alpha", 1), node.float_or("beta", 1)};
    const Tensor* b = init.constant(1);
    if (b == nullptr || b->rank() != 2 || !is_float32_or_half(b->dtype()))
      return make_op<Gemm>(o, DType::undefined, Shape{}, PackedF32{});
    OCTAVO_TRY(const Tensor floats, to_float32(*b, init.pool()));
    const auto rows = static_cast<size_t>(b->dim(0));
    const auto columns = static_cast<size_t>(b->dim(1));
    const bool t = o.transpose_b;
    OCTAVO_TRY(PackedF32 packed,
               PackedF32::make(t ? columns : rows, t ? rows : columns, floats.data<float>(),
                               t ? 1 : columns, t ? columns : 1, init.pool()));
    const DType dtype = b->dtype();
    Shape shape = b->shape();
    init.drop(1);
    return make_op<Gemm>(o, dtype, std::move(shape), std::move(packed));
  }

  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const bool packed = packed_dtype_ != DType::undefined;
    const Tensor* b = packed ? nullptr : context.input(1);
    const Tensor* c = context.input(2);
    if ((packed ? packed_dtype_ : b->dtype()) != a.dtype() ||
        (c != nullptr && c->dtype() != a.dtype())) {
      return Error{Code::invalid_input, "inputs of different types"};
    }
    OCTAVO_TRY(const Sizes s, sizes_of(a.shape(), packed ? b_shape_ : b->shape(), options_));
    std::pair<size_t, size_t> strides{0, 0};
    if (c != nullptr) {
      OCTAVO_TRY(strides, strides_of(c->shape(), s));
    }
    OCTAVO_TRY(Tensor * y, context.output(0, a.dtype(),
                                          {static_cast<int64_t>(s.m), static_cast<int64_t>(s.n)}));
    if (!is_float32_or_half(a.dtype())) {
      return dispatch(Types<double, int32_t, int64_t, uint32_t, uint64_t>{}, a.dtype(),
                      [&]<class T>() -> Status {
                        plain_gemm<T>(context.pool(), s, options_, elements<T>(a), elements<T>(*b),
                                      c == nullptr ? nullptr : elements<T>(*c), strides,
                                      elements<T>(*y));
                        return Done{};
                      });
    }
    OCTAVO_TRY(const float* pa, as_floats(context, a));
    OCTAVO_TRY(const float* pb, packed ? Result<const float*>(nullptr) : as_floats(context, *b));
    OCTAVO_TRY(const float* pc,
               c == nullptr ? Result<const float*>(nullptr) : as_floats(context, *c));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(floats(context, s, pa, pb, pc, strides, result.data()));
    result.finish(context.pool());
    return Done{};
  }

 private:
  Status floats(OpContext& context, const Sizes& s, const float* a, const float* b, const float* c,
                std::pair<size_t, size_t> c_strides, float* y) const {
    ThreadPool& pool = context.pool();
    if (options_.transpose_a) {
      OCTAVO_TRY(const auto scratch, context.scratch(s.m * s.k * sizeof(float)));
      auto* turned = reinterpret_cast<float*>(scratch.data());
      pool.parallel_for(s.m, 64, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          for (size_t p = 0; p < s.k; ++p) turned[i * s.k + p] = a[p * s.m + i];
        }
      });
      a = turned;
    }
    const bool bias = c != nullptr && options_.alpha == 1 && options_.beta == 1 &&
                      c_strides.first == 0 && c_strides.second == 1;
    if (b == nullptr) {
      multiply(context.kernels(), pool, s.m, s.n, s.k, a, s.k, packed_.data(), bias ? c : nullptr,
               y, s.n);
    } else {
      const bool t = options_.transpose_b;
      const BatchShape shape{.count = 1,
                             .m = s.m,
                             .n = s.n,
                             .k = s.k,
                             .lda = s.k,
                             .b_row = t ? 1 : s.n,
                             .b_column = t ? s.k : 1,
                             .ldc = s.n};
      OCTAVO_CHECK(multiply_batch(context, shape, [&](size_t) { return Operands{a, b, y}; }));
    }
    if ((bias && b == nullptr) || (c == nullptr && options_.alpha == 1)) return Done{};
    pool.parallel_for(
        s.m, std::max<size_t>(1, 16384 / std::max<size_t>(s.n, 1)), [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            for (size_t j = 0; j < s.n; ++j) {
              const float add = c == nullptr ? 0.0F : c[i * c_strides.first + j * c_strides.second];
              float& v = y[i * s.n + j];
              v = options_.alpha * v + options_.beta * add;
            }
          }
        });
    return Done{};
  }

  Options options_;
  DType packed_dtype_;  // of B before packing; undefined when B is not packed
  Shape b_shape_;
  PackedF32 packed_;
};

}  // namespace

void register_gemm(Registry& registry) {
  // Version 7 lets C broadcast; before, an attribute asked for it.
  registry.add(
      {.op_type = "Gemm", .since = 7, .min_inputs = 2, .max_inputs = 3, .make = Gemm::make});
}

}  // namespace octavo::ops
