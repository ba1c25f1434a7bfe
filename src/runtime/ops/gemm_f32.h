#pragma once
// Float matrix products on all threads: how the GEMM of the kernels is cut into tasks. A result's
// bits do not depend on the cut, since each element is one chain over k.

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "runtime/op.h"
#include "tensor/tensor.h"

namespace octavo::ops {

// A constant right-hand side, packed once.
class PackedF32 {
 public:
  // B[k][n] at b[k * row_stride + n * column_stride]. Errors: out_of_memory.
  static Result<PackedF32> make(size_t k, size_t n, const float* b, size_t row_stride,
                                size_t column_stride, ThreadPool& pool);
  size_t k() const { return k_; }
  size_t n() const { return n_; }
  const float* data() const { return bytes_.data<float>(); }

 private:
  size_t k_ = 0;
  size_t n_ = 0;
  Tensor bytes_;
};

// C[m][n] = A[m][k] B + bias (null: none), B packed.
void multiply(const kernels::Table& table, ThreadPool& pool, size_t m, size_t n, size_t k,
              const float* a, size_t lda, const float* packed, const float* bias, float* c,
              size_t ldc);

// `count` independent products of one shape whose operands are found by index.
struct Operands {
  const float* a;
  const float* b;
  float* c;
};
struct BatchShape {
  size_t count;
  size_t m, n, k;
  size_t lda;
  size_t b_row, b_column;  // B[k][n] at b[k * b_row + n * b_column]
  size_t ldc;
};
// Packs each B when that pays. Errors: out_of_memory for the place to pack into.
Status multiply_batch(OpContext& context, const BatchShape& shape,
                      FunctionRef<Operands(size_t)> operands);

// One place to work in for each thread: a chunk takes one, and gives it back at its end.
class Slots {
 public:
  // Each of `floats` floats, out of the context's scratch memory.
  static Result<Slots> make(OpContext& context, size_t floats);
  class Lease {
   public:
    explicit Lease(Slots& slots) : slots_(slots), index_(slots.take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { slots_.busy_[index_].store(false, std::memory_order_release); }
    float* data() const { return slots_.base_ + index_ * slots_.stride_; }

   private:
    Slots& slots_;
    size_t index_;
  };

 private:
  Slots(float* base, size_t stride, size_t count) : base_(base), stride_(stride), busy_(count) {}
  size_t take();

  float* base_;
  size_t stride_;
  std::vector<std::atomic<bool>> busy_;
};

}  // namespace octavo::ops
