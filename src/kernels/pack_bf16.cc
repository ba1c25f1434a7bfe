// [ceil(N/32)][K][32] like pack_f32, half as wide.

#include <algorithm>

#include "kernels/kernels.h"

namespace octavo::kernels {

void pack_bf16(size_t k, size_t n, const uint16_t* b, size_t row_stride, size_t column_stride,
               uint16_t* packed) {
  // Sixteen k at a time: of a transposed B, 32 cache lines are then used to their end.
  constexpr size_t kBlock = 16;
  for (size_t j = 0; j < n; j += kPanelF32) {
    const size_t columns = std::min(n - j, kPanelF32);
    uint16_t* panel = packed + j * k;
    for (size_t p0 = 0; p0 < k; p0 += kBlock) {
      const size_t p1 = std::min(k, p0 + kBlock);
      for (size_t i = 0; i < columns; ++i) {
        const uint16_t* from = b + (j + i) * column_stride;
        for (size_t p = p0; p < p1; ++p) panel[p * kPanelF32 + i] = from[p * row_stride];
      }
      for (size_t p = p0; p < p1; ++p) {
        std::fill(panel + p * kPanelF32 + columns, panel + (p + 1) * kPanelF32, uint16_t{0});
      }
    }
  }
}

}  // namespace octavo::kernels
