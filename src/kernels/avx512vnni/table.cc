// Every kernel for AVX-512 with VNNI. One file, everything in an anonymous namespace and nothing
// from std: a function shared with other objects could be the one that the linker keeps for all
// CPUs.

// GCC 12's own header passes an undefined register where the mask selects nothing from it, and
// warns of that wherever it is inlined.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include "kernels/attention.h"
#include "kernels/kernels.h"

namespace octavo::kernels {
namespace {

#include "kernels/avx512vnni/lanes.inl"
// after lanes.inl, whose F they use
#include "kernels/polynomials.inl"
#include "kernels/rows.inl"
// after rows.inl
#include "kernels/elements.inl"
#include "kernels/epilogue.inl"
#include "kernels/quantize_rows.inl"
// after epilogue.inl
#include "kernels/avx512vnni/gemm_f32.inl"
#include "kernels/avx512vnni/gemm_u8s8.inl"
// after rows.inl and the products above
#include "kernels/avx512vnni/attention.inl"
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
constinit const Table kAvx512Vnni{"avx512vnni",
#include "kernels/table.inl"
};
// clang-format on

}  // namespace octavo::kernels
