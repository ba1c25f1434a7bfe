// [ceil(N/64)][ceil(K/4)][64][4]: four consecutive k of one column lie together, which is what
// vpdpbusd multiplies, and 16 columns of them fill a 64-byte register.

#include <algorithm>
#include <cstring>

#include "kernels/kernels.h"

namespace octavo::kernels {
namespace {

// `columns` columns of B into a panel, from its column `first` on; the panel is zero beforehand.
void pack_columns(size_t k, size_t columns, const int8_t* b, size_t row_stride,
                  size_t column_stride, int8_t* panel, size_t first, int32_t* sums) {
  std::fill_n(sums, columns, 0);
  for (size_t p = 0; p < k; ++p) {
    const int8_t* from = b + p * row_stride;
    int8_t* to = panel + p / 4 * (kPanelS8 * 4) + first * 4 + p % 4;
    for (size_t i = 0; i < columns; ++i) {
      to[i * 4] = from[i * column_stride];
      sums[i] += from[i * column_stride];
    }
  }
}

}  // namespace

void pack_s8(size_t k, size_t n, const int8_t* b, size_t row_stride, size_t column_stride,
             int8_t* packed, int32_t* column_sums) {
  const size_t panel_bytes = packed_s8_bytes(k, 1);
  for (size_t j = 0; j < n; j += kPanelS8, packed += panel_bytes) {
    const size_t columns = std::min(n - j, kPanelS8);
    if (columns < kPanelS8 || k % 4 != 0) std::memset(packed, 0, panel_bytes);
    pack_columns(k, columns, b + j * column_stride, row_stride, column_stride, packed, 0,
                 column_sums + j);
  }
}

void pack_s8_gated(size_t k, size_t n, const int8_t* gate, const int8_t* up, size_t row_stride,
                   size_t column_stride, int8_t* packed, int32_t* column_sums) {
  constexpr size_t kHalf = kPanelS8 / 2;
  const size_t panel_bytes = packed_s8_bytes(k, 1);
  for (size_t j = 0; j < n; j += kHalf, packed += panel_bytes, column_sums += kPanelS8) {
    const size_t columns = std::min(n - j, kHalf);
    if (columns < kHalf || k % 4 != 0) std::memset(packed, 0, panel_bytes);
    std::fill_n(column_sums, kPanelS8, 0);
    pack_columns(k, columns, gate + j * column_stride, row_stride, column_stride, packed, 0,
                 column_sums);
    pack_columns(k, columns, up + j * column_stride, row_stride, column_stride, packed, kHalf,
                 column_sums + kHalf);
  }
}

}  // namespace octavo::kernels
