#pragma once
// Everything one instruction set offers: raw pointers and sizes in, nothing else. `ref` is the
// specification; the others give the same bytes. Kernels never allocate, lock, schedule, print or
// fail: the caller checks the preconditions and splits the rows among threads.
//
// Rules that make the bytes equal everywhere:
//  - a float dot product is one chain acc = fma(a[k], b[k], acc), k ascending, from +0;
//  - a float reduction (sum, max) is 16 partial results, lane = index mod 16, combined by halving:
//    lane i with lane i+8, then +4, +2, +1;
//  - exp, erf, tanh, sigmoid are our own polynomials of fma, mul, add, div and integer steps;
//  - integer work is exact int32: no saturating instruction anywhere.

#include <cstddef>
#include <cstdint>

namespace octavo::kernels {

// Packed right-hand sides. Layouts are the same for every ISA.
//  f32: [ceil(N/32)][K][32], zero padded.
//  s8:  [ceil(N/64)][ceil(K/4)][64][4], zero padded, followed by nothing; column sums are kept
//  apart.
inline constexpr size_t kPanelF32 = 32;
inline constexpr size_t kPanelS8 = 64;
constexpr size_t packed_f32_floats(size_t k, size_t n) {
  return (n + kPanelF32 - 1) / kPanelF32 * kPanelF32 * k;
}
constexpr size_t packed_s8_bytes(size_t k, size_t n) {
  return (n + kPanelS8 - 1) / kPanelS8 * kPanelS8 * ((k + 3) / 4 * 4);
}
// B[k][n] at b[k * row_stride + n * column_stride]: either order of a matrix packs without a
// transpose.
void pack_f32(size_t k, size_t n, const float* b, size_t row_stride, size_t column_stride,
              float* packed);
// column_sums[n] = sum over k of B[k][n].
void pack_s8(size_t k, size_t n, const int8_t* b, size_t row_stride, size_t column_stride,
             int8_t* packed, int32_t* column_sums);

// y[i] = f(x[i]), x and y may be the same.
using UnaryF32 = void (*)(size_t n, const float* x, float* y);

struct Table {
  const char* name;  // "ref", "avx2", "avx512vnni"

  // C[m][n] = A[m][:] . B[:][n] (+ bias[n] when bias is not null, added once after the chain).
  // `packed` by pack_f32. Writes only columns [n0, n1), n0 a multiple of kPanelF32, so that threads
  // may split columns too.
  void (*gemm_f32)(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                   const float* packed, const float* bias, float* c, size_t ldc);
  // C[m][n] = sum_k (A[m][k] - a_zero) * B[k][n], exact. K <= 66,310 (checked by the caller).
  void (*gemm_u8s8_s32)(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                        uint8_t a_zero, const int8_t* packed, const int32_t* column_sums,
                        int32_t* c, size_t ldc);

  UnaryF32 exp_f32;
  UnaryF32 erf_f32;
  UnaryF32 tanh_f32;
  UnaryF32 sigmoid_f32;
  UnaryF32 gelu_f32;  // 0.5 x (1 + erf(x / sqrt 2))
  UnaryF32 silu_f32;  // x sigmoid(x)

  // Row-wise over [rows][n]: softmax with the row maximum taken off first; a row of all -inf gives
  // zeros.
  void (*softmax_f32)(size_t rows, size_t n, const float* x, float* y);
  // (x - mean) / sqrt(var + eps) * gain + bias; gain and bias may be null. Two passes over the row.
  void (*layer_norm_f32)(size_t rows, size_t n, const float* x, const float* gain,
                         const float* bias, float eps, float* y);
  // x / sqrt(mean(x^2) + eps) * gain.
  void (*rms_norm_f32)(size_t rows, size_t n, const float* x, const float* gain, float eps,
                       float* y);

  // *low, *high widened to the smallest and largest of x (NaN is ignored).
  void (*min_max_f32)(size_t n, const float* x, float* low, float* high);
  // max[i] = max(max[i], |x[r][i]|) over rows.
  void (*column_absmax_f32)(size_t rows, size_t n, const float* x, float* max);
  // clamp(round_half_even(x / scale) + zero), into u8 or s8. A division, as ONNX defines it.
  void (*quantize_f32_u8)(size_t n, const float* x, float scale, uint8_t zero, uint8_t* y);
  void (*quantize_f32_s8)(size_t n, const float* x, float scale, int8_t zero, int8_t* y);
};

extern const Table kRef;
extern const Table kAvx2;
extern const Table kAvx512Vnni;

}  // namespace octavo::kernels
