// The specification: what every kernel computes, in plain C++. Slow (a libm call for every fma on a
// baseline build) and always runnable.

#include "kernels/attention.h"
#include "kernels/kernels.h"

namespace octavo::kernels {
namespace {

#include "kernels/ref/lanes.inl"
// after lanes.inl, whose F they use
#include "kernels/polynomials.inl"
#include "kernels/rows.inl"

// B[k][n] of one panel at b[k * stride + n], `columns` of them.
void gemm_panel(size_t m, size_t columns, size_t k, const float* a, size_t lda, const float* b,
                size_t stride, const float* bias, float* c, size_t ldc) {
  for (size_t i = 0; i < m; ++i) {
    float acc[kPanelF32] = {};
    for (size_t p = 0; p < k; ++p) {
      for (size_t j = 0; j < columns; ++j) {
        acc[j] = __builtin_fmaf(a[i * lda + p], b[p * stride + j], acc[j]);
      }
    }
    for (size_t j = 0; j < columns; ++j) {
      c[i * ldc + j] = bias == nullptr ? acc[j] : acc[j] + bias[j];
    }
  }
}

void gemm_f32(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
              const float* packed, const float* bias, float* c, size_t ldc) {
  for (size_t n = n0; n < n1; n += kPanelF32) {
    gemm_panel(m, n1 - n < kPanelF32 ? n1 - n : kPanelF32, k, a, lda, packed + n * k, kPanelF32,
               bias == nullptr ? nullptr : bias + n, c + n, ldc);
  }
}

void gemm_f32_unpacked(size_t m, size_t n, size_t k, const float* a, size_t lda, const float* b,
                       size_t ldb, float* c, size_t ldc) {
  for (size_t j = 0; j < n; j += kPanelF32) {
    gemm_panel(m, n - j < kPanelF32 ? n - j : kPanelF32, k, a, lda, b + j, ldb, nullptr, c + j,
               ldc);
  }
}

void gemm_u8s8_s32(size_t m, size_t n0, size_t n1, size_t k, const uint8_t* a, size_t lda,
                   const uint8_t* a_zero, size_t a_zero_stride, const int8_t* packed,
                   const int32_t* column_sums, int32_t* c, size_t ldc) {
  const size_t quads = (k + 3) / 4;
  for (size_t i = 0; i < m; ++i) {
    const uint32_t zero = a_zero[i * a_zero_stride];
    for (size_t n = n0; n < n1; ++n) {
      const int8_t* b = packed + n / kPanelS8 * kPanelS8 * quads * 4 + n % kPanelS8 * 4;
      // Unsigned, so that wrapping is defined.
      uint32_t sum = 0U - zero * static_cast<uint32_t>(column_sums[n]);
      for (size_t p = 0; p < k; ++p) {
        sum += static_cast<uint32_t>(a[i * lda + p] * b[p / 4 * (kPanelS8 * 4) + p % 4]);
      }
      c[i * ldc + n] = static_cast<int32_t>(sum);
    }
  }
}

// after rows.inl and the products above
#include "kernels/ref/attention.inl"
// after its tiles
#include "kernels/attention.inl"
// after its blocks
#include "kernels/attention_f32.inl"
#include "kernels/attention_pack.inl"

}  // namespace

constinit const Table kRef{"ref",
                           gemm_f32,
                           gemm_f32_unpacked,
                           gemm_u8s8_s32,
                           map<exp>,
                           map<erf>,
                           map<tanh>,
                           map<sigmoid>,
                           map<gelu>,
                           map<gelu_tanh>,
                           map<silu>,
                           softmax,
                           layer_norm,
                           rms_norm,
                           min_max,
                           all_finite,
                           column_absmax,
                           quantize<uint8_t, 0, 255>,
                           quantize<int8_t, -128, 127>,
                           quantize_rows_s16,
                           pack_key_s16,
                           pack_value_s16,
                           attention_s16,
                           attention_f32};

}  // namespace octavo::kernels
