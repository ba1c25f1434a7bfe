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
#include "kernels/gemm_u16s8.inl"
// after its tiles
#include "kernels/attention_operands.inl"
#include "kernels/attention_rows.inl"
// after its blocks
#include "kernels/attention_f32.inl"
#include "kernels/attention_pack.inl"
#include "kernels/attention_s16.inl"

}  // namespace

// clang-format off
constinit const Table kAvx2{"avx2",
#include "kernels/table.inl"
};
// clang-format on

}  // namespace octavo::kernels
