// [ceil(N/64)][ceil(K/4)][64][4]: four consecutive k of one column lie together, which is what
// vpdpbusd multiplies, and 16 columns of them fill a 64-byte register.

#include <algorithm>
#include <cstring>

#include "kernels/kernels.h"

namespace octavo::kernels {

void pack_s8(size_t k, size_t n, const int8_t* b, size_t row_stride, size_t column_stride,
             int8_t* packed, int32_t* column_sums) {
  const size_t quads = (k + 3) / 4;
  for (size_t j = 0; j < n; j += kPanelS8) {
    const size_t columns = std::min(n - j, kPanelS8);
    int8_t* panel = packed + j * quads * 4;
    if (columns < kPanelS8 || k % 4 != 0) std::memset(panel, 0, quads * kPanelS8 * 4);
    std::fill_n(column_sums + j, columns, 0);
    for (size_t p = 0; p < k; ++p) {
      const int8_t* from = b + p * row_stride + j * column_stride;
      int8_t* to = panel + p / 4 * (kPanelS8 * 4) + p % 4;
      for (size_t i = 0; i < columns; ++i) {
        to[i * 4] = from[i * column_stride];
        column_sums[j + i] += from[i * column_stride];
      }
    }
  }
}

}  // namespace octavo::kernels
