// Every kernel for AVX2 with FMA. One file, everything in an anonymous namespace and nothing from
// std: a function shared with other objects could be the one that the linker keeps for all CPUs.

#include <immintrin.h>

#include "kernels/attention.h"
#include "kernels/kernels.h"

namespace octavo::kernels {
namespace {

#include "kernels/avx2/lanes.inl"
// after lanes.inl, whose F they use
#include "kernels/polynomials.inl"
#include "kernels/rows.inl"
// after rows.inl
#include "kernels/elements.inl"
#include "kernels/epilogue.inl"
#include "kernels/quantize_rows.inl"
// after epilogue.inl
#include "kernels/avx2/gemm_f32.inl"
#include "kernels/avx2/gemm_u8s8.inl"
#include "kernels/avx2/gemm_u8s8_f32.inl"
// after rows.inl and the products above
#include "kernels/avx2/attention.inl"
// after its tiles
#include "kernels/attention_rows.inl"
// after its blocks
#include "kernels/attention_f32.inl"
#include "kernels/attention_pack.inl"
#include "kernels/attention_s16.inl"

}  // namespace

constinit const Table kAvx2{"avx2",
                            gemm_panels<float>,
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
                            quantize_rows,
                            gemm_u8s8_f32,
                            gemm_panels<uint16_t>,
                            rotate_half,
                            add_to,
                            widen_bf16,
                            dequantize_s8,
                            sum_squares,
                            quantize_rows_s16,
                            pack_key_s16,
                            pack_value_s16,
                            attention_s16,
                            attention_f32};

}  // namespace octavo::kernels
