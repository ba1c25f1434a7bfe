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
//  - min(a, b) is a < b ? a : b, so a NaN in a gives b; max likewise;
//  - integer work is exact int32 (modulo 2^32): no saturating instruction anywhere.
// The payload and sign of a NaN are not part of the promise; that it is one, is.

#include <cstddef>
#include <cstdint>

namespace octavo::kernels {

// Packed right-hand sides. Layouts are the same for every ISA.
//  f32: [ceil(N/32)][K][32], zero padded.
//  bf16: the same, of u16.
//  s8:  [ceil(N/64)][ceil(K/4)][64][4], zero padded; column sums are kept apart.
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
// packed_f32_floats(k, n) u16 at `packed`.
void pack_bf16(size_t k, size_t n, const uint16_t* b, size_t row_stride, size_t column_stride,
               uint16_t* packed);

// The gate and the up matrix [k][n] of a gated feed-forward as one right-hand side: each panel of
// 64 holds 32 columns of gate, then the same 32 of up, so that one tile has both. Numbers of a
// column (scales, biases) go to gated_column(i) for gate and to 32 further for up.
constexpr size_t gated_columns(size_t n) { return (n + 31) / 32 * kPanelS8; }
constexpr size_t gated_column(size_t i) { return i / 32 * kPanelS8 + i % 32; }
// packed_s8_bytes(k, gated_columns(n)) at `packed`; gated_columns(n) column sums, zeros beyond n.
void pack_s8_gated(size_t k, size_t n, const int8_t* gate, const int8_t* up, size_t row_stride,
                   size_t column_stride, int8_t* packed, int32_t* column_sums);

// A linear layer in 8 bits: `packed` by pack_s8 or pack_s8_gated. column_sums, scale and bias have
// an entry for every packed column, ceil(N/64) * 64, zeros beyond N; bias may be null.
struct LayerS8 {
  size_t k;
  const int8_t* packed;
  const int32_t* column_sums;
  const float* scale;
  const float* bias;
};

// What becomes of a product f: C = f, C += f, C = g(f), or C = g(gate) * up of gated columns.
enum class Epilogue : uint8_t {
  store,
  add,
  gelu,
  gelu_tanh,
  silu,
  relu,
  swiglu,      // silu(gate) * up
  geglu,       // gelu(gate) * up
  geglu_tanh,  // gelu_tanh(gate) * up
};

// y[i] = f(x[i]), x and y may be the same.
using UnaryF32 = void (*)(size_t n, const float* x, float* y);

struct Keys;  // kernels/attention.h
struct KeysF32;

struct Table {
  const char* name;  // "ref", "avx2", "avx512vnni", "amx"
  // Rows that a product of integers computes at once: of a multiple of it, none are wasted.
  size_t tile_rows;

  // C[m][n] = A[m][:] . B[:][n] (+ bias[n] when bias is not null, added once after the chain).
  // `packed` by pack_f32. Writes only columns [n0, n1), n0 a multiple of kPanelF32, so that threads
  // may split columns too. C must not overlap the inputs.
  void (*gemm_f32)(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                   const float* packed, const float* bias, float* c, size_t ldc);
  // The same numbers with B as it lies: B[k][n] at b[k * ldb + n]. For products of two activations,
  // where B is used for too few rows to pay for packing.
  void (*gemm_f32_unpacked)(size_t m, size_t n, size_t k, const float* a, size_t lda,
                            const float* b, size_t ldb, float* c, size_t ldc);
  // C[m][n] = sum_k (A[m][k] - zero) * B[k][n] modulo 2^32, zero = a_zero[m * a_zero_stride]:
  // stride 0 is one zero point for all rows. Exact without wrapping while K <= 65,793 (255 * 128 *
  // K < 2^31), which the caller checks. n0 a multiple of kPanelS8.
  void (*gemm_u8s8_s32)(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                        const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                        const int32_t* column_sums, int32_t* c, size_t ldc);

  UnaryF32 exp_f32;
  UnaryF32 erf_f32;
  UnaryF32 tanh_f32;
  UnaryF32 sigmoid_f32;
  UnaryF32 gelu_f32;       // 0.5 x (1 + erf(x / sqrt 2))
  UnaryF32 gelu_tanh_f32;  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  UnaryF32 silu_f32;       // x sigmoid(x)

  // Row-wise over [rows][n]: softmax with the row maximum taken off first; a row of all -inf gives
  // zeros. x and y may be the same.
  void (*softmax_f32)(size_t rows, size_t n, const float* x, float* y);
  // (x - mean) / sqrt(var + eps) * gain + bias; gain and bias may be null. Two passes over the row.
  // x and y may be the same.
  void (*layer_norm_f32)(size_t rows, size_t n, const float* x, const float* gain,
                         const float* bias, float eps, float* y);
  // x / sqrt(mean(x^2) + eps) * gain; gain may be null.
  void (*rms_norm_f32)(size_t rows, size_t n, const float* x, const float* gain, float eps,
                       float* y);

  // *low, *high widened to the smallest and largest of x (NaN is ignored).
  void (*min_max_f32)(size_t n, const float* x, float* low, float* high);
  // Whether no x is NaN or infinite.
  bool (*all_finite_f32)(size_t n, const float* x);
  // max[i] = max(max[i], |x[r][i]|) over rows; NaN is ignored.
  void (*column_absmax_f32)(size_t rows, size_t n, const float* x, float* max);
  // clamp(round_half_even(x / scale) + zero), into u8 or s8. A division, as ONNX defines it. NaN
  // gives the lowest value.
  void (*quantize_f32_u8)(size_t n, const float* x, float scale, uint8_t zero, uint8_t* y);
  void (*quantize_f32_s8)(size_t n, const float* x, float scale, int8_t zero, int8_t* y);

  // Each row on its own, so that a row's numbers do not depend on its neighbours:
  //   low = min(row, 0), high = max(row, 0), scale = (high - low) / 255,
  //   zero = clamp(round_half_even(-low / scale)),
  //   y = clamp(round_half_even(x * (1 / scale)) + zero).
  // What is quantized is x[i] * factor[i] when factor is not null. A row whose range is below 1e-30
  // (1 / scale would soon overflow) has scale, zero and y 0. A row with a NaN or an infinity in it,
  // or whose range overflows, has scale NaN and zero and y 0: all that is computed from it is NaN.
  void (*quantize_rows_f32_u8)(size_t rows, size_t n, const float* x, size_t ldx,
                               const float* factor, uint8_t* y, size_t ldy, float* scale,
                               uint8_t* zero);
  // sum = sum_k (A[m][k] - a_zero[m]) * B[k][n] as in gemm_u8s8_s32,
  // f = fma(float(sum), a_scale[m] * scale[n], bias[n]), or the product alone without a bias; then
  // the epilogue. n0, n1 are packed columns, n0 a multiple of kPanelS8. Writes columns [n0, n1); a
  // gated epilogue writes the 32 columns from n / 2 on for each panel n, whole ones.
  void (*gemm_u8s8_f32)(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                        const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                        Epilogue epilogue, float* c, size_t ldc);
  // The same two with 16-bit activations: 65,535 for 255, and each number is two bytes, the high
  // ones of a row at y, the low ones ldy further; of zero points, too, there are two a row.
  // f = fma(fma(float(high sum), 256, float(low sum)), a_scale[m] * scale[n], bias[n]).
  void (*quantize_rows_f32_u16)(size_t rows, size_t n, const float* x, size_t ldx,
                                const float* factor, uint8_t* y, size_t ldy, float* scale,
                                uint8_t* zero);
  void (*gemm_u16s8_f32)(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                         const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                         Epilogue epilogue, float* c, size_t ldc);
  // gemm_f32 with weights packed by pack_bf16: the bits that the same weights give as floats.
  void (*gemm_bf16_f32)(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                        const uint16_t* packed, const float* bias, float* c, size_t ldc);

  // Rotary position, in place: x[i] = fma(x[i], cos[i], r[i] * sin[i]) with r[i] = -x[i + d/2] in
  // the first half and x[i - d/2] in the second. d even.
  void (*rotate_half_f32)(size_t d, float* x, const float* cos, const float* sin);
  void (*add_f32)(size_t n, const float* x, float* y);  // y += x
  void (*widen_bf16_f32)(size_t n, const uint16_t* x, float* y);
  void (*dequantize_s8_f32)(size_t n, const int8_t* x, float scale, float* y);  // y = x * scale
  float (*sum_squares_f32)(size_t n, const float* x);
  // Attention of one head; layouts, limits and scratch in kernels/attention.h.
  // Queries: y = round_half_even(x * (limit / absmax)), limit = query_limit_s16(n), and
  // scale = absmax / limit, a row each. A row below 1e-30 gets zeros and scale 0; one with a NaN or
  // an infinity gets scale NaN, and so do the outputs made from it.
  void (*quantize_rows_f32_s16)(size_t rows, size_t n, const float* x, size_t ldx, int16_t* y,
                                size_t ldy, float* scale);
  // One block of at most 64 tokens, rows ld floats apart: zeros and scale 0 for the tokens that do
  // not exist; `scale` has 64. Keys are quantized like queries. A value's scale is given as its
  // log2, such that the largest integer is in [3850, kValueLimit], but never below -40: under 4e-9
  // a value loses precision, so that a token of all zeros still has a scale.
  void (*pack_key_s16)(size_t tokens, size_t d, const float* k, size_t ld, int16_t* packed,
                       float* scale);
  void (*pack_value_s16)(size_t tokens, size_t d, const float* v, size_t ld, int16_t* packed,
                         float* scale);
  // `rows` queries at the positions first, first + 1, ...; out = softmax(scale * q k) v, scale >=
  // 0. A query at position p sees keys [0, count); causal: up to p; window > 0: only keys > p -
  // window and, unless causal, < p + window. One that sees none gives zeros. Its bits depend on
  // itself and the keys and values that it sees, on nothing else. A NaN in any of those makes the
  // row NaN, as does a score that overflows.
  void (*attention_s16)(size_t rows, size_t d, const int16_t* q, size_t ldq, const float* q_scale,
                        float scale, size_t first, bool causal, size_t window, const Keys& keys,
                        float* out, size_t ldo, void* scratch);
  void (*attention_f32)(size_t rows, size_t d, const float* q, size_t ldq, float scale,
                        size_t first, bool causal, size_t window, const KeysF32& keys, float* out,
                        size_t ldo, void* scratch);
};

extern const Table kRef;
extern const Table kAvx2;
extern const Table kAvx512Vnni;
extern const Table kAmx;

}  // namespace octavo::kernels
