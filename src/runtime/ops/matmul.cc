// MatMul: numpy's rules, one-dimensional operands included. A constant two-dimensional B is packed
// when the session is made. FusedMatMul (com.microsoft) is the same with transposes and a factor.

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_f32.h"
#include "runtime/ops/half_as_float.h"
#include "runtime/ops/product.h"

namespace octavo::ops {

namespace {

struct Options {
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1;
};

// Products of integers wrap, as numpy's do; an unsigned type at least as wide as int does that.
template <class T>
using Accumulator = typename std::conditional_t<std::is_integral_v<T>,
                                                std::make_unsigned<std::common_type_t<T, int>>,
                                                std::type_identity<T>>::type;

// Any arithmetic type, without hurry: float64 and integers appear in shape computations and tests.
template <class T>
void plain_products(ThreadPool& pool, const ProductShape& p, const Options& options, const T* a,
                    const T* b, T* c) {
  using Number = Accumulator<T>;
  const size_t a_row = options.transpose_a ? 1 : p.a_stored_columns;
  const size_t a_column = options.transpose_a ? p.a_stored_columns : 1;
  const size_t b_row = options.transpose_b ? 1 : p.b_stored_columns;
  const size_t b_column = options.transpose_b ? p.b_stored_columns : 1;
  pool.parallel_for(p.count * p.m, 1, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      const size_t i = row / p.m;
      const T* from = a + p.a_index[i] * p.m * p.k + row % p.m * a_row;
      const T* matrix = b + p.b_index[i] * p.k * p.n;
      for (size_t j = 0; j < p.n; ++j) {
        Number sum{};
        for (size_t q = 0; q < p.k; ++q) {
          sum += static_cast<Number>(from[q * a_column]) *
                 static_cast<Number>(matrix[q * b_row + j * b_column]);
        }
        if constexpr (std::is_floating_point_v<T>) sum *= static_cast<T>(options.alpha);
        c[row * p.n + j] = static_cast<T>(sum);
      }
    }
  });
}

void scale(ThreadPool& pool, float factor, std::span<float> values) {
  if (factor == 1.0F) return;
  pool.parallel_for(values.size(), 16384, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) values[i] *= factor;
  });
}

// [count][rows][columns] -> [count][columns][rows]
void transpose(ThreadPool& pool, size_t count, size_t rows, size_t columns, const float* from,
               float* to) {
  pool.parallel_for(count * rows, std::max<size_t>(1, 16384 / std::max<size_t>(columns, 1)),
                    [&](size_t begin, size_t end) {
                      for (size_t r = begin; r < end; ++r) {
                        const size_t i = r / rows;
                        float* out = to + i * rows * columns + r % rows;
                        for (size_t j = 0; j < columns; ++j) out[j * rows] = from[r * columns + j];
                      }
                    });
}

class MatMul final : public Op {
 public:
  MatMul(const Options& options, DType packed_dtype, Shape b_shape, PackedF32 packed)
      : options_(options),
        packed_dtype_(packed_dtype),
        b_shape_(std::move(b_shape)),
        packed_(std::move(packed)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init, const Options& options) {
    const Tensor* b = init.constant(1);
    if (b == nullptr || b->rank() != 2 || !is_float32_or_half(b->dtype())) {
      return make_op<MatMul>(options, DType::undefined, Shape{}, PackedF32{});
    }
    OCTAVO_TRY(const Tensor floats, to_float32(*b, init.pool()));
    const auto rows = static_cast<size_t>(b->dim(0));
    const auto columns = static_cast<size_t>(b->dim(1));
    const bool t = options.transpose_b;
    OCTAVO_TRY(PackedF32 packed,
               PackedF32::make(t ? columns : rows, t ? rows : columns, floats.data<float>(),
                               t ? 1 : columns, t ? columns : 1, init.pool()));
    const DType dtype = b->dtype();
    Shape shape = b->shape();
    init.drop(1);
    return make_op<MatMul>(options, dtype, std::move(shape), std::move(packed));
  }

  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const bool packed = packed_dtype_ != DType::undefined;
    const Tensor* b = packed ? nullptr : context.input(1);
    if ((packed ? packed_dtype_ : b->dtype()) != a.dtype()) {
      return Error{Code::invalid_input,
                   "inputs of different types: " + std::string(dtype_name(a.dtype())) + " and " +
                       std::string(dtype_name(packed ? packed_dtype_ : b->dtype()))};
    }
    OCTAVO_TRY(const ProductShape p, product_shape(a.shape(), packed ? b_shape_ : b->shape(),
                                                   options_.transpose_a, options_.transpose_b));
    OCTAVO_TRY(Tensor * y, context.output(0, a.dtype(), p.shape));
    if (!is_float32_or_half(a.dtype())) {
      return dispatch(Types<double, int32_t, int64_t, uint32_t, uint64_t>{}, a.dtype(),
                      [&]<class T>() -> Status {
                        plain_products<T>(context.pool(), p, options_, elements<T>(a),
                                          elements<T>(*b), elements<T>(*y));
                        return Done{};
                      });
    }
    OCTAVO_TRY(const float* pa, as_floats(context, a));
    OCTAVO_TRY(const float* pb, packed ? Result<const float*>(nullptr) : as_floats(context, *b));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(products(context, p, pa, pb, result.data()));
    scale(context.pool(), options_.alpha, {result.data(), static_cast<size_t>(y->size())});
    result.finish(context.pool());
    return Done{};
  }

 private:
  Status products(OpContext& context, const ProductShape& p, const float* a, const float* b,
                  float* c) const {
    if (options_.transpose_a) {
      const size_t matrices = a_matrices(p);
      OCTAVO_TRY(const auto scratch, context.scratch(matrices * p.m * p.k * sizeof(float)));
      auto* turned = reinterpret_cast<float*>(scratch.data());
      transpose(context.pool(), matrices, p.k, p.m, a, turned);
      a = turned;
    }
    const bool t = options_.transpose_b;
    if (b == nullptr) {  // packed, and then every product has this B
      multiply(context.kernels(), context.pool(), p.count * p.m, p.n, p.k, a, p.k, packed_.data(),
               nullptr, c, p.n);
      return Done{};
    }
    BatchShape shape{.count = p.count,
                     .m = p.m,
                     .n = p.n,
                     .k = p.k,
                     .lda = p.k,
                     .b_row = t ? 1 : p.b_stored_columns,
                     .b_column = t ? p.b_stored_columns : 1,
                     .ldc = p.n};
    if (p.one_b) {
      shape.m *= shape.count;
      shape.count = shape.count == 0 ? 0 : 1;
    }
    return multiply_batch(context, shape, [&](size_t i) {
      return Operands{a + p.a_index[i] * p.m * p.k, b + p.b_index[i] * p.k * p.n,
                      c + i * p.m * p.n};
    });
  }

  static size_t a_matrices(const ProductShape& p) {
    size_t most = 0;
    for (const size_t i : p.a_index) most = std::max(most, i + 1);
    return most;
  }

  Options options_;
  DType packed_dtype_;  // of B before packing; undefined when B is not packed
  Shape b_shape_;
  PackedF32 packed_;
};

}  // namespace

void register_matmul(Registry& registry) {
  registry.add({.op_type = "MatMul", .min_inputs = 2, .max_inputs = 2, .make = [](OpInit& init) {
                  return MatMul::make(init, {});
                }});
  const auto fused = [](OpInit& init) -> Result<std::unique_ptr<Op>> {
    const Node& node = init.node();
    if (node.int_or("transBatchA", 0) != 0 || node.int_or("transBatchB", 0) != 0)
      return Error{Code::unsupported, "transBatchA and transBatchB are not here"};
    return MatMul::make(init, {.transpose_a = node.int_or("transA", 0) != 0,
                               .transpose_b = node.int_or("transB", 0) != 0,
                               .alpha = node.float_or("alpha", 1)});
  };
  registry.add({.op_type = "FusedMatMul",
                .through = 1,
                .min_inputs = 2,
                .max_inputs = 2,
                .make = fused,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
