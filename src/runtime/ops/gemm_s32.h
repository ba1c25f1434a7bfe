#pragma once
// Integer matrix products as the quantized ops of ONNX define them: 8-bit operands of either sign,
// zero points per tensor, row or column, an exact int32 result. Everything is brought to the one
// form the kernels have, unsigned A and signed B: flipping the top bit of a number and moving its
// zero point by 128 changes nothing.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "runtime/op.h"
#include "runtime/ops/product.h"
#include "tensor/tensor.h"

namespace octavo::ops {

// Longest dot product whose int32 sum cannot overflow: 2^31 / (255 * 128).
inline constexpr size_t kMostK = 65793;

// One right-hand side [k][n], packed.
class PackedS8 {
 public:
  // `b` are int8 or uint8 values, row-major. Errors: k beyond kMostK, out_of_memory.
  static Result<PackedS8> make(size_t k, size_t n, const std::byte* b, bool is_signed);
  const int8_t* data() const { return bytes_.data<int8_t>(); }
  const int32_t* column_sums() const { return sums_.data(); }
  size_t k() const { return k_; }
  size_t n() const { return n_; }

 private:
  size_t k_ = 0;
  size_t n_ = 0;
  Tensor bytes_;
  std::vector<int32_t> sums_;
};

// An operand's zero points, one or one for each row (of A) or column (of B), in the form the
// kernels have: of unsigned A, of signed B. An absent zero point is 0 in the tensor's own form.
struct ZeroPoints {
  std::vector<int32_t> values;
  int32_t at(size_t i) const { return values.size() == 1 ? values[0] : values[i % values.size()]; }
  bool all_zero() const;
  // `t` may be null; `dtype` is the operand's. Errors: not 8 bits, types that differ, no values.
  static Result<ZeroPoints> of_a(const Tensor* t, DType dtype) {
    return make(t, dtype, dtype == DType::i8 ? 128 : 0);
  }
  static Result<ZeroPoints> of_b(const Tensor* t, DType dtype) {
    return make(t, dtype, dtype == DType::i8 ? 0 : -128);
  }

 private:
  static Result<ZeroPoints> make(const Tensor* t, DType dtype, int32_t shift);
};

// C[m][n] = (A - a_zero)(B - b_zero), `first_row` being the index of A's first row for a_zero. A as
// it is in its tensor; `work` holds m * k bytes when A is signed (else it may be null).
void multiply_integers(const kernels::Table& table, ThreadPool& pool, size_t m, const std::byte* a,
                       bool a_signed, const ZeroPoints& a_zero, size_t first_row, const PackedS8& b,
                       const ZeroPoints& b_zero, uint8_t* work, int32_t* c);

// A whole op's products with numpy's broadcasting: `packed` when B is constant, else `b` is packed
// anew. Writes count * m * n sums. Errors: as many zero points as fit neither rows nor columns.
Status integer_products(OpContext& context, const ProductShape& shape, const Tensor& a,
                        const ZeroPoints& a_zero, const Tensor* b, const PackedS8* packed,
                        const ZeroPoints& b_zero, int32_t* c);

}  // namespace octavo::ops
