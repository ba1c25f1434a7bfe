#pragma once
// The two passes over a weight matrix that make it 8 bits wide: range of every column, then
// rounding with a scale for every column. Baseline instructions only: reading the weights from a
// disk is ten times slower than this. Element-wise, so every split among threads gives the same
// bytes.

#include <cstddef>
#include <cstdint>

namespace octavo::kernels {

// Widens [low[c], high[c]] to hold w[r][c] for r < rows; rows lie n floats apart. False when an
// element is NaN or infinite (low and high are then of no use).
bool column_range_f32(size_t rows, size_t n, const float* w, float* low, float* high);

// q = clamp(round_half_even(w / scale[c]) + zero[c]) to the type's whole range. The division is an
// IEEE division, as numpy does it. Precondition: |w / scale[c]| + |zero[c]| < 2^31.
void quantize_columns_f32_s8(size_t rows, size_t n, const float* w, const float* scale,
                             const float* zero, int8_t* q);
void quantize_columns_f32_u8(size_t rows, size_t n, const float* w, const float* scale,
                             const float* zero, uint8_t* q);

// error[c] += sum over rows of (w - scale[c] * q)^2 with q = clamp(round_half_even(w / scale[c]),
// -127, 127), in float64 and in the order of the rows; rows lie ldw floats apart.
void column_error_f32_s8(size_t rows, size_t ldw, size_t columns, const float* w,
                         const float* scale, double* error);

// to[c][r] = from[r][c], any element of 1, 2, 4 or 8 bytes; columns [c0, c1) only.
void transpose(size_t rows, size_t n, size_t c0, size_t c1, size_t element, const void* from,
               void* to);

}  // namespace octavo::kernels
