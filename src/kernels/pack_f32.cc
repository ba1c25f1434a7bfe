// [ceil(N/32)][K][32]: one panel is read front to back by the GEMM, 128 bytes a k.

#include <algorithm>
#include <cstring>

#include "kernels/kernels.h"

namespace octavo::kernels {
namespace {

// Four floats in the compiler's own notation: SSE on x86-64, NEON on arm64, no flag needed.
using Four = float __attribute__((vector_size(16)));

Four four(const float* p) {
  Four v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// to[i][j] = from[j][i], 4 x 4: a transposed B (the keys of attention) is packed for every product,
// and one float at a time costs as much as 32 rows of GEMM.
void transpose4(const float* from, size_t from_stride, float* to, size_t to_stride) {
  const Four r0 = four(from);
  const Four r1 = four(from + from_stride);
  const Four r2 = four(from + 2 * from_stride);
  const Four r3 = four(from + 3 * from_stride);
  const Four low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const Four low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Four high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  const Four rows[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                        __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                        __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                        __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (size_t i = 0; i < 4; ++i) std::memcpy(to + i * to_stride, &rows[i], sizeof(Four));
}

// Columns contiguous in k.
void pack_columns(size_t k, size_t columns, const float* b, size_t column_stride, float* panel) {
  if (columns < kPanelF32) std::memset(panel, 0, k * kPanelF32 * sizeof(float));
  const size_t whole_columns = columns / 4 * 4;
  const size_t whole_k = k / 4 * 4;
  for (size_t p = 0; p < whole_k; p += 4) {
    for (size_t j = 0; j < whole_columns; j += 4) {
      transpose4(b + j * column_stride + p, column_stride, panel + p * kPanelF32 + j, kPanelF32);
    }
  }
  for (size_t j = 0; j < columns; ++j) {
    for (size_t p = j < whole_columns ? whole_k : 0; p < k; ++p) {
      panel[p * kPanelF32 + j] = b[j * column_stride + p];
    }
  }
}

// Rows contiguous in n, or any strides at all.
void pack_rows(size_t k, size_t columns, const float* b, size_t row_stride, size_t column_stride,
               float* panel) {
  for (size_t p = 0; p < k; ++p, panel += kPanelF32, b += row_stride) {
    if (column_stride == 1 && columns == kPanelF32) {
      std::memcpy(panel, b, kPanelF32 * sizeof(float));
    } else if (column_stride == 1) {
      std::memcpy(panel, b, columns * sizeof(float));
    } else {
      for (size_t j = 0; j < columns; ++j) panel[j] = b[j * column_stride];
    }
    std::fill(panel + columns, panel + kPanelF32, 0.0F);
  }
}

}  // namespace

void pack_f32(size_t k, size_t n, const float* b, size_t row_stride, size_t column_stride,
              float* packed) {
  for (size_t j = 0; j < n; j += kPanelF32) {
    const size_t columns = std::min(n - j, kPanelF32);
    const float* from = b + j * column_stride;
    if (row_stride == 1 && column_stride != 1) {
      pack_columns(k, columns, from, column_stride, packed + j * k);
    } else {
      pack_rows(k, columns, from, row_stride, column_stride, packed + j * k);
    }
  }
}

}  // namespace octavo::kernels
