#include "runtime/ops/attention.h"

#include <algorithm>

#include "runtime/ops/gemm_f32.h"

namespace octavo::ops {

namespace {

constexpr size_t kBlock = 48;  // queries: four tiles of the GEMM

constexpr size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

void add(size_t n, const ScoreBias& bias, size_t b, size_t h, size_t query, size_t key,
         float* scores) {
  if (bias.data == nullptr) return;
  const float* row = bias.data + b * bias.batch + h * bias.head + query * bias.query + key;
  for (size_t i = 0; i < n; ++i) scores[i] += row[i];
}

}  // namespace

Status attend(OpContext& context, const AttentionProblem& p,
              FunctionRef<std::pair<size_t, size_t>(size_t, size_t)> range, float* out) {
  const kernels::Table& table = context.kernels();
  ThreadPool& pool = context.pool();
  if (p.batch == 0 || p.queries == 0 || p.heads == 0) return Done{};

  // Keys transposed into panels, once for all heads that share them.
  const size_t packed_keys = kernels::packed_f32_floats(p.head_size, p.keys);
  OCTAVO_TRY(const auto scratch,
             context.scratch(p.batch * p.kv_heads * packed_keys * sizeof(float)));
  auto* packed = reinterpret_cast<float*>(scratch.data());
  pool.parallel_for(p.batch * p.kv_heads, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      kernels::pack_f32(p.head_size, p.keys, p.k.at(i / p.kv_heads, i % p.kv_heads, 0), 1,
                        p.k.token, packed + i * packed_keys);
    }
  });

  const size_t block = std::min(p.queries, kBlock);
  const size_t blocks = ceil_div(p.queries, block);
  OCTAVO_TRY(Slots slots, Slots::make(context, block * (p.keys + p.head_size)));
  const size_t work = block * p.keys * (p.head_size + p.value_size);
  const size_t grain = std::max<size_t>(1, (1U << 17U) / std::max<size_t>(work, 1));
  pool.parallel_for(p.batch * p.heads * blocks, grain, [&](size_t begin, size_t end) {
    const Slots::Lease lease(slots);
    float* const scaled = lease.data();
    float* const scores = scaled + block * p.head_size;
    for (size_t task = begin; task < end; ++task) {
      const size_t b = task / blocks / p.heads;
      const size_t h = task / blocks % p.heads;
      const size_t kv = h / (p.heads / p.kv_heads);
      const size_t first = task % blocks * block;
      const size_t rows = std::min(block, p.queries - first);
      const size_t stride = p.heads * p.value_size;
      float* to = out + (b * p.queries + first) * stride + h * p.value_size;

      const size_t low = range(b, first).first / kernels::kPanelF32 * kernels::kPanelF32;
      const size_t high = range(b, first + rows - 1).second;
      if (high <= low) {
        for (size_t r = 0; r < rows; ++r) std::fill_n(to + r * stride, p.value_size, 0.0F);
        continue;
      }
      const size_t width = high - low;
      for (size_t r = 0; r < rows; ++r) {
        const float* q = p.q.at(b, h, first + r);
        for (size_t d = 0; d < p.head_size; ++d) scaled[r * p.head_size + d] = q[d] * p.scale;
      }
      // The kernel writes column n at c[n]: shifted so that key `low` is the first of a row.
      table.gemm_f32(rows, 0, width, p.head_size, scaled, p.head_size,
                     packed + (b * p.kv_heads + kv) * packed_keys + low * p.head_size, nullptr,
                     scores, width);
      for (size_t r = 0; r < rows; ++r) {
        const auto [from, to_key] = range(b, first + r);
        float* row = scores + r * width;
        if (to_key <= from) {
          std::fill_n(row, width, 0.0F);
          continue;
        }
        const size_t n = to_key - from;
        float* seen = row + (from - low);
        if (p.softcap > 0) {
          for (size_t i = 0; i < n; ++i) seen[i] /= p.softcap;
          table.tanh_f32(n, seen, seen);
          for (size_t i = 0; i < n; ++i) seen[i] *= p.softcap;
        }
        add(n, p.mask, b, h, first + r, from, seen);
        add(n, p.bias, b, h, first + r, from, seen);
        table.softmax_f32(1, n, seen, seen);
        std::fill(row, seen, 0.0F);
        std::fill(seen + n, row + width, 0.0F);
      }
      table.gemm_f32_unpacked(rows, p.value_size, width, scores, width, p.v.at(b, kv, low),
                              p.v.token, to, stride);
    }
  });
  return Done{};
}

}  // namespace octavo::ops
