// Norms, the quantization of their rows, and the products that read them.

#include <algorithm>
#include <cstring>

#include "runtime/fused/forward.h"

namespace octavo::fused {

namespace {

// Below this many cycles of work a region is not worth another thread: waking one that spins takes
// about a microsecond there and back.
constexpr size_t kInlineCycles = 12000;
// Rows of a GEMM task: a block of A of 192 rows of 3,072 bytes is half of a 1 MiB L2.
constexpr size_t kTaskRows = 192;

}  // namespace

void Forward::each(size_t n, size_t cost, FunctionRef<void(size_t, size_t)> body) {
  if (n == 0) return;
  const auto threads = static_cast<size_t>(pool_.threads());
  if (threads == 1 || n == 1 || n * cost < kInlineCycles) {
    body(0, n);
    return;
  }
  pool_.parallel_for(n, std::max<size_t>(1, n / (threads * 4)), body);
}

void Forward::norm_row(const Norm& norm, size_t width, const float* x, float* y) const {
  if (norm.kind == NormKind::rms) {
    t_.rms_norm_f32(1, width, x, norm.gain, norm.epsilon, y);
  } else {
    t_.layer_norm_f32(1, width, x, norm.gain, norm.bias, norm.epsilon, y);
  }
}

void Forward::norm_rows(const Norm& norm, size_t rows, const float* x, float* y) {
  const size_t width = w_.spec.hidden;
  if (norm.kind == NormKind::none) return;
  each(rows, width, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) norm_row(norm, width, x + i * width, y + i * width);
  });
}

void Forward::quantize(const Linear& linear, const Norm& norm, const Input& input) {
  const size_t k = linear.spec->k;
  const size_t ld = byte_row(k);
  auto* bytes = s_.bytes.as<uint8_t>();
  auto* scale = s_.scale.as<float>();
  auto* zero = s_.zero.as<uint8_t>();
  auto* normed = s_.normed.as<float>();
  const bool wide = linear.spec->scales == RowScales::row16;
  const bool whole = options_.exact_onnx && linear.spec->scales == RowScales::tensor;
  each(input.count, 2 * k, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float* x = input.rows + i * input.ld;
      if (norm.kind != NormKind::none) {
        // The same few cache lines again and again: only one scale for all reads these rows later.
        float* y = normed + (whole ? i : begin) * k;
        norm_row(norm, k, x, y);
        x = y;
      }
      if (wide) {
        t_.quantize_rows_f32_u16(1, k, x, k, linear.factor, bytes + 2 * i * ld, ld, scale + i,
                                 zero + 2 * i);
      } else if (!whole) {
        t_.quantize_rows_f32_u8(1, k, x, k, linear.factor, bytes + i * ld, ld, scale + i, zero + i);
      }
    }
  });
  if (!whole) return;
  // One scale for all rows: that of a row made of the smallest and the largest of all of them.
  float low = 0;
  float high = 0;
  const bool fresh = norm.kind != NormKind::none;
  std::vector<float> scaled(k);
  const auto row = [&](size_t i) {
    const float* x = fresh ? normed + i * k : input.rows + i * input.ld;
    for (size_t j = 0; j < k; ++j)
      scaled[j] = linear.factor == nullptr ? x[j] : x[j] * linear.factor[j];
    return scaled.data();
  };
  for (size_t i = 0; i < input.count; ++i) t_.min_max_f32(k, row(i), &low, &high);
  const float ends[2] = {low, high};
  uint8_t two[2];
  t_.quantize_rows_f32_u8(1, 2, ends, 2, nullptr, two, 2, scale, zero);
  for (size_t i = 0; i < input.count; ++i) {
    scale[i] = scale[0];
    zero[i] = zero[0];
    if (scale[0] > 0) {
      t_.quantize_f32_u8(k, row(i), scale[0], zero[0], bytes + i * ld);
    } else {
      std::memset(bytes + i * ld, 0, k);
    }
  }
}

void Forward::multiply(const Linear& linear, const Input& input, size_t first_column,
                       size_t last_column, kernels::Epilogue epilogue, float* c, size_t ldc) {
  const LinearSpec& spec = *linear.spec;
  const size_t panel = spec.panel();
  const size_t panels = ceil_div(last_column - first_column, panel);
  const auto threads = static_cast<size_t>(pool_.threads());
  const size_t m = input.count;
  // Enough tasks for the threads to finish together, each of rows that are whole tiles.
  const size_t wanted = std::max(ceil_div(4 * threads, panels), ceil_div(m, kTaskRows));
  const size_t most = std::max<size_t>(1, m / 24);
  const size_t task_rows =
      ceil_div(ceil_div(m, std::min(wanted, most)), t_.tile_rows) * t_.tile_rows;
  const size_t row_blocks = ceil_div(m, task_rows);
  const bool wide = spec.scales == RowScales::row16;
  const size_t macs_a_cycle = spec.kind != WeightKind::s8 ? 16 : wide ? 32 : 64;
  const auto run = [&](size_t r, size_t n0, size_t n1) {
    const size_t row = r * task_rows;
    const size_t rows = std::min(task_rows, m - row);
    float* out = c + row * ldc;
    switch (spec.kind) {
      case WeightKind::s8: {
        const size_t ld = byte_row(spec.k);
        const size_t at = wide ? 2 * row : row;
        const auto gemm = wide ? t_.gemm_u16s8_f32 : t_.gemm_u8s8_f32;
        gemm(rows, n0, n1, s_.bytes.as<uint8_t>() + at * ld, ld, s_.scale.as<float>() + row,
             s_.zero.as<uint8_t>() + at, linear.s8, epilogue, out, ldc);
        break;
      }
      case WeightKind::f32:
        t_.gemm_f32(rows, n0, n1, spec.k, input.rows + row * input.ld, input.ld, linear.f32,
                    linear.bias, out, ldc);
        break;
      case WeightKind::bf16:
        t_.gemm_bf16_f32(rows, n0, n1, spec.k, input.rows + row * input.ld, input.ld, linear.bf16,
                         linear.bias, out, ldc);
        break;
    }
  };
  // Row blocks of one panel follow each other, so that the panel is read from a near cache.
  each(panels * row_blocks, task_rows * panel * spec.k / macs_a_cycle,
       [&](size_t begin, size_t end) {
         while (begin < end) {
           const size_t p = begin / row_blocks;
           const size_t r = begin % row_blocks;
           const size_t whole = row_blocks == 1 ? end - begin : 1;
           const size_t n0 = first_column + p * panel;
           run(r, n0, std::min(last_column, n0 + whole * panel));
           begin += whole;
         }
       });
}

void Forward::linear(const Linear& linear, const Norm& norm, const Input& input,
                     size_t first_column, size_t last_column, kernels::Epilogue epilogue, float* c,
                     size_t ldc) {
  if (linear.spec->kind == WeightKind::s8) {
    quantize(linear, norm, input);
    multiply(linear, input, first_column, last_column, epilogue, c, ldc);
    return;
  }
  Input from = input;
  if (norm.kind != NormKind::none || linear.factor != nullptr) {
    const size_t k = linear.spec->k;
    auto* normed = s_.normed.as<float>();
    each(input.count, 2 * k, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const float* x = input.rows + i * input.ld;
        float* y = normed + i * k;
        if (norm.kind != NormKind::none) {
          norm_row(norm, k, x, y);
        } else {
          std::copy_n(x, k, y);
        }
        if (linear.factor != nullptr)
          for (size_t j = 0; j < k; ++j) y[j] *= linear.factor[j];
      }
    });
    from = {normed, k, input.count};
  }
  multiply(linear, from, first_column, last_column, epilogue, c, ldc);
}

void Forward::add_linear(const Linear& linear, const Input& input, float* x) {
  const size_t hidden = w_.spec.hidden;
  if (linear.spec->kind == WeightKind::s8) {
    this->linear(linear, Norm{}, input, 0, hidden, kernels::Epilogue::add, x, hidden);
    return;
  }
  auto* sum = s_.sum.as<float>();
  this->linear(linear, Norm{}, input, 0, hidden, kernels::Epilogue::store, sum, hidden);
  each(input.count, hidden / 8, [&](size_t begin, size_t end) {
    t_.add_f32((end - begin) * hidden, sum + begin * hidden, x + begin * hidden);
  });
}

}  // namespace octavo::fused
