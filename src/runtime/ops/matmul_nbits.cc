// MatMulNBits of com.microsoft: B [N, blocks, block_size * bits / 8] holds 4- or 8-bit weights of
// columns in blocks along K, each with a scale and perhaps a zero point. They are dequantized when
// the session is made (exactly: weight = (q - zero) * scale) and multiplied as floats, so
// accuracy_level, which allows a kernel to round A, is met whatever it says. The price is memory: 4
// bytes a weight.

#include <algorithm>
#include <string>
#include <utility>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_f32.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

struct Blocks {
  size_t n = 0;
  size_t k = 0;
  size_t bits = 0;
  size_t size = 0;
  size_t count() const { return (k + size - 1) / size; }
};

// Number i of a row of `bits`-bit numbers, the first in the low half of its byte.
uint8_t packed_at(const uint8_t* row, size_t bits, size_t i) {
  return bits == 8 ? row[i] : static_cast<uint8_t>(row[i / 2] >> (i % 2 * 4) & 15);
}

Status check(const Blocks& b, const Tensor& values, const Tensor& scales, const Tensor* zeros) {
  const auto n = static_cast<int64_t>(b.n);
  const auto blocks = static_cast<int64_t>(b.count());
  if (values.dtype() != DType::u8 ||
      values.size() != n * blocks * static_cast<int64_t>(b.size * b.bits / 8))
    return Error{Code::invalid_input, "B of shape " + to_string(values.shape()) +
                                          " does not hold N x K weights in such blocks"};
  if (!is_float32_or_half(scales.dtype()) || scales.size() != n * blocks)
    return Error{Code::invalid_input, "scales of shape " + to_string(scales.shape()) +
                                          ", expected one for each of " + std::to_string(blocks) +
                                          " blocks of " + std::to_string(b.n) + " columns"};
  if (zeros == nullptr) return Done{};
  const int64_t packed = n * ((blocks * static_cast<int64_t>(b.bits) + 7) / 8);
  const int64_t expected = zeros->dtype() == DType::u8 ? packed : n * blocks;
  if ((zeros->dtype() != DType::u8 && !is_float32_or_half(zeros->dtype())) ||
      zeros->size() != expected)
    return Error{Code::invalid_input, "zero points of shape " + to_string(zeros->shape()) + ", " +
                                          std::to_string(expected) + " are needed"};
  return Done{};
}

// B as [N][K] floats.
Result<Tensor> dequantize(const Blocks& b, const Tensor& values, const Tensor& scales,
                          const Tensor* zeros, ThreadPool& pool) {
  OCTAVO_TRY(const Tensor scale, to_float32(scales, pool));
  Tensor float_zeros;
  if (zeros != nullptr && zeros->dtype() != DType::u8) {
    OCTAVO_TRY(float_zeros, to_float32(*zeros, pool));
  }
  OCTAVO_TRY(Tensor out,
             Tensor::make(DType::f32, {static_cast<int64_t>(b.n), static_cast<int64_t>(b.k)}));
  auto* to = out.mutable_data<float>();
  const size_t blocks = b.count();
  const size_t row_bytes = blocks * b.size * b.bits / 8;
  const size_t zero_bytes = (blocks * b.bits + 7) / 8;
  const auto middle = static_cast<float>(1U << (b.bits - 1));
  pool.parallel_for(b.n, std::max<size_t>(1, 65536 / b.k), [&](size_t begin, size_t end) {
    for (size_t column = begin; column < end; ++column) {
      const uint8_t* row = values.data<uint8_t>() + column * row_bytes;
      for (size_t k = 0; k < b.k; ++k) {
        const size_t block = k / b.size;
        float zero = middle;
        if (float_zeros.defined()) {
          zero = float_zeros.data<float>()[column * blocks + block];
        } else if (zeros != nullptr) {
          zero = packed_at(zeros->data<uint8_t>() + column * zero_bytes, b.bits, block);
        }
        to[column * b.k + k] = (static_cast<float>(packed_at(row, b.bits, k)) - zero) *
                               scale.data<float>()[column * blocks + block];
      }
    }
  });
  return out;
}

class MatMulNBits final : public Op {
 public:
  explicit MatMulNBits(PackedF32 packed) : packed_(std::move(packed)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    const int64_t n = node.int_or("N", 0);
    const int64_t k = node.int_or("K", 0);
    const int64_t bits = node.int_or("bits", 4);
    const int64_t size = node.int_or("block_size", 0);
    constexpr int64_t kMost = int64_t{1} << 31;
    if (n <= 0 || k <= 0 || n >= kMost || k >= kMost)
      return Error{Code::invalid_input, "N and K must be positive"};
    if (bits != 4 && bits != 8)
      return Error{Code::unsupported, std::to_string(bits) + " bits; 4 and 8 are here"};
    if (size < 16 || size > kMost || (size & (size - 1)) != 0)
      return Error{Code::invalid_input, "block_size must be a power of two, at least 16"};
    if (init.has_input(4)) return Error{Code::unsupported, "g_idx (reordered columns) is not here"};
    if (node.int_or("weight_prepacked", 0) != 0)
      return Error{Code::unsupported, "weights packed for another device"};
    const Tensor* values = init.constant(1);
    const Tensor* scales = init.constant(2);
    const Tensor* zeros = init.constant(3);
    if (values == nullptr || scales == nullptr || (init.has_input(3) && zeros == nullptr))
      return Error{Code::unsupported, "weights, scales and zero points must be constants"};
    const Blocks b{static_cast<size_t>(n), static_cast<size_t>(k), static_cast<size_t>(bits),
                   static_cast<size_t>(size)};
    OCTAVO_CHECK(check(b, *values, *scales, zeros));
    OCTAVO_TRY(const Tensor floats, dequantize(b, *values, *scales, zeros, init.pool()));
    OCTAVO_TRY(PackedF32 packed,
               PackedF32::make(b.k, b.n, floats.data<float>(), 1, b.k, init.pool()));
    for (const size_t i : {size_t{1}, size_t{2}, size_t{3}}) {
      if (init.has_input(i)) init.drop(i);
    }
    return make_op<MatMulNBits>(std::move(packed));
  }

  Status run(OpContext& context) const override {
    const Tensor& a = context.required(0);
    const Tensor* bias = context.input(5);
    if (!is_float32_or_half(a.dtype())) return unsupported_dtype(a.dtype());
    if (a.rank() == 0 || static_cast<size_t>(a.shape().back()) != packed_.k())
      return Error{Code::invalid_input, "an input of shape " + to_string(a.shape()) + " for K " +
                                            std::to_string(packed_.k())};
    if (bias != nullptr &&
        (bias->dtype() != a.dtype() || static_cast<size_t>(bias->size()) != packed_.n()))
      return Error{Code::invalid_input, "a bias of shape " + to_string(bias->shape())};
    Shape shape = a.shape();
    shape.back() = static_cast<int64_t>(packed_.n());
    OCTAVO_TRY(const float* pa, as_floats(context, a));
    OCTAVO_TRY(const float* pb,
               bias == nullptr ? Result<const float*>(nullptr) : as_floats(context, *bias));
    OCTAVO_TRY(Tensor * y, context.output(0, a.dtype(), std::move(shape)));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    multiply(context.kernels(), context.pool(), static_cast<size_t>(a.size()) / packed_.k(),
             packed_.n(), packed_.k(), pa, packed_.k(), packed_.data(), pb, result.data(),
             packed_.n());
    result.finish(context.pool());
    return Done{};
  }

 private:
  PackedF32 packed_;
};

}  // namespace

void register_matmul_nbits(Registry& registry) {
  registry.add({.op_type = "MatMulNBits",
                .through = 1,
                .min_inputs = 3,
                .max_inputs = 6,
                .make = MatMulNBits::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
