#include "runtime/ops/gemm_f32.h"

#include <algorithm>

namespace octavo::ops {

namespace {

using kernels::kPanelF32;

// A task below this many multiplications (a few microseconds) is not worth handing to a thread.
constexpr size_t kLeastWork = 1U << 17U;
// Rows of A that a task walks again for every panel of B: half of a second-level cache.
constexpr size_t kRowBlockFloats = 128U << 10U;

constexpr size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

size_t row_block(size_t m, size_t k) {
  const size_t rows = std::max<size_t>(kRowBlockFloats / std::max<size_t>(k, 1) / 12 * 12, 24);
  return m <= rows ? std::max<size_t>(m, 1) : rows;
}

}  // namespace

Result<PackedF32> PackedF32::make(size_t k, size_t n, const float* b, size_t row_stride,
                                  size_t column_stride, ThreadPool& pool) {
  PackedF32 packed;
  packed.k_ = k;
  packed.n_ = n;
  OCTAVO_TRY(packed.bytes_,
             Tensor::make(DType::f32, {static_cast<int64_t>(kernels::packed_f32_floats(k, n))}));
  auto* to = packed.bytes_.mutable_data<float>();
  const size_t grain = std::max<size_t>(1, kLeastWork / (std::max<size_t>(k, 1) * kPanelF32));
  pool.parallel_for(ceil_div(n, kPanelF32), grain, [&](size_t begin, size_t end) {
    const size_t from = begin * kPanelF32;
    const size_t columns = std::min(n, end * kPanelF32) - from;
    kernels::pack_f32(k, columns, b + from * column_stride, row_stride, column_stride,
                      to + from * k);
  });
  return packed;
}

void multiply(const kernels::Table& table, ThreadPool& pool, size_t m, size_t n, size_t k,
              const float* a, size_t lda, const float* packed, const float* bias, float* c,
              size_t ldc) {
  if (m == 0 || n == 0) return;
  const size_t rows = row_block(m, k);
  const size_t row_tasks = ceil_div(m, rows);
  const size_t panels = ceil_div(n, kPanelF32);
  // Four tasks a thread even out unequal speed; single panels would fetch the rows of A too often.
  const auto threads = static_cast<size_t>(pool.threads());
  const size_t wanted = threads == 1 ? 1 : ceil_div(threads * 4, row_tasks);
  const size_t affordable = std::max<size_t>(1, rows * n * k / kLeastWork);
  const size_t column_tasks = std::clamp<size_t>(std::min(wanted, affordable), 1, panels);
  const size_t width = ceil_div(panels, column_tasks) * kPanelF32;
  const size_t across = ceil_div(n, width);
  // Tasks beside each other share rows of A when there are many rows, else each streams its own
  // part of B.
  pool.parallel_for(row_tasks * across, 1, [&](size_t begin, size_t end) {
    for (size_t task = begin; task < end; ++task) {
      const size_t i = task / across * rows;
      const size_t j = task % across * width;
      table.gemm_f32(std::min(rows, m - i), j, std::min(n, j + width), k, a + i * lda, lda, packed,
                     bias, c + i * ldc, ldc);
    }
  });
}

Status multiply_batch(OpContext& context, const BatchShape& s,
                      FunctionRef<Operands(size_t)> operands) {
  const kernels::Table& table = context.kernels();
  ThreadPool& pool = context.pool();
  if (s.count == 0 || s.m == 0 || s.n == 0) return Done{};
  const size_t work = s.m * s.n * std::max<size_t>(s.k, 1);

  // Rows of B that are short, or used for few rows of A, are read where they lie.
  if (s.b_column == 1 && (s.m < 24 || s.n <= 4 * kPanelF32)) {
    const size_t rows = std::min<size_t>(s.m, 48);
    const size_t blocks = ceil_div(s.m, rows);
    const size_t grain = std::max<size_t>(1, kLeastWork / std::max<size_t>(1, work / blocks));
    pool.parallel_for(s.count * blocks, grain, [&](size_t begin, size_t end) {
      for (size_t task = begin; task < end; ++task) {
        const Operands o = operands(task / blocks);
        const size_t i = task % blocks * rows;
        table.gemm_f32_unpacked(std::min(rows, s.m - i), s.n, s.k, o.a + i * s.lda, s.lda, o.b,
                                s.b_row, o.c + i * s.ldc, s.ldc);
      }
    });
    return Done{};
  }

  const size_t floats = kernels::packed_f32_floats(s.k, s.n);
  if (s.count >= static_cast<size_t>(pool.threads()) || work < kLeastWork) {
    OCTAVO_TRY(Slots slots, Slots::make(context, floats));
    pool.parallel_for(
        s.count, std::max<size_t>(1, kLeastWork / work), [&](size_t begin, size_t end) {
          const Slots::Lease packed(slots);
          for (size_t i = begin; i < end; ++i) {
            const Operands o = operands(i);
            kernels::pack_f32(s.k, s.n, o.b, s.b_row, s.b_column, packed.data());
            table.gemm_f32(s.m, 0, s.n, s.k, o.a, s.lda, packed.data(), nullptr, o.c, s.ldc);
          }
        });
    return Done{};
  }
  // Few large products: each one on all threads.
  OCTAVO_TRY(const auto scratch, context.scratch(floats * sizeof(float)));
  auto* packed = reinterpret_cast<float*>(scratch.data());
  for (size_t i = 0; i < s.count; ++i) {
    const Operands o = operands(i);
    pool.parallel_for(ceil_div(s.n, kPanelF32), 1, [&](size_t begin, size_t end) {
      const size_t from = begin * kPanelF32;
      kernels::pack_f32(s.k, std::min(s.n, end * kPanelF32) - from, o.b + from * s.b_column,
                        s.b_row, s.b_column, packed + from * s.k);
    });
    multiply(table, pool, s.m, s.n, s.k, o.a, s.lda, packed, nullptr, o.c, s.ldc);
  }
  return Done{};
}

Result<Slots> Slots::make(OpContext& context, size_t floats) {
  const size_t stride = (floats + 15) / 16 * 16;
  const auto count = static_cast<size_t>(context.pool().threads());
  OCTAVO_TRY(const auto scratch, context.scratch(stride * count * sizeof(float)));
  return Slots(reinterpret_cast<float*>(scratch.data()), stride, count);
}

size_t Slots::take() {
  for (size_t i = 0;; i = (i + 1) % busy_.size()) {
    if (!busy_[i].exchange(true, std::memory_order_acquire)) return i;
  }
}

}  // namespace octavo::ops
