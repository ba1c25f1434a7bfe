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
// after rows.inl
#include "kernels/elements.inl"
#include "kernels/epilogue.inl"
#include "kernels/quantize_rows.inl"

inline float widen(float x) { return x; }
inline float widen(uint16_t x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }

// B[k][n] of one panel at b[k * stride + n], `columns` of them.
template <class B>
void gemm_panel(size_t m, size_t columns, size_t k, const float* a, size_t lda, const B* b,
                size_t stride, const float* bias, float* c, size_t ldc) {
  for (size_t i = 0; i < m; ++i) {
    float acc[kPanelF32] = {};
    for (size_t p = 0; p < k; ++p) {
      for (size_t j = 0; j < columns; ++j) {
        acc[j] = __builtin_fmaf(a[i * lda + p], widen(b[p * stride + j]), acc[j]);
      }
    }
    for (size_t j = 0; j < columns; ++j) {
      c[i * ldc + j] = bias == nullptr ? acc[j] : acc[j] + bias[j];
    }
  }
}

template <class B>
void gemm_panels(size_t m, size_t n0, size_t n1, size_t k, const float* a, size_t lda,
                 const B* packed, const float* bias, float* c, size_t ldc) {
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

void gemm_u8s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                   const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                   Epilogue epilogue, float* c, size_t ldc) {
  const size_t panel_bytes = packed_s8_bytes(layer.k, 1);
  for (size_t n = n0; n < n1; n += kPanelS8) {
    const size_t columns = n1 - n < kPanelS8 ? n1 - n : kPanelS8;
    for (size_t i = 0; i < m; ++i) {
      int32_t sums[kPanelS8];
      float f[kPanelS8];
      gemm_u8s8_s32(1, 0, kPanelS8, layer.k, a + i * lda, lda, a_zero + i, 0,
                    layer.packed + n / kPanelS8 * panel_bytes, layer.column_sums + n, sums, 0);
      scale_sums(sums, a_scale[i], layer.scale + n,
                 layer.bias == nullptr ? nullptr : layer.bias + n, f);
      finish(epilogue, 1, columns, f, c + i * ldc + (is_gated(epilogue) ? n / 2 : n), ldc);
    }
  }
}
constexpr size_t kTileRows = 6;
// after rows.inl and the products above
#include "kernels/gemm_u16s8.inl"
#include "kernels/ref/attention.inl"
// after its tiles
#include "kernels/attention_operands.inl"
#include "kernels/attention_rows.inl"
// after its blocks
#include "kernels/attention_f32.inl"
#include "kernels/attention_pack.inl"
#include "kernels/attention_s16.inl"

}  // namespace

// clang-format off
constinit const Table kRef{"ref",
#include "kernels/table.inl"
};
// clang-format on

}  // namespace octavo::kernels
