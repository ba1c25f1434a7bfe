#include "peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace octavo::bench {
namespace {

#if defined(__x86_64__)

#define TEN(op, r)                                                                                \
  op " %%" r "10,%%" r "10,%%" r "0\n" op " %%" r "10,%%" r "10,%%" r "1\n" op " %%" r "10,%%" r  \
     "10,%%" r "2\n" op " %%" r "10,%%" r "10,%%" r "3\n" op " %%" r "10,%%" r "10,%%" r "4\n" op \
     " %%" r "10,%%" r "10,%%" r "5\n" op " %%" r "10,%%" r "10,%%" r "6\n" op " %%" r "10,%%" r  \
     "10,%%" r "7\n" op " %%" r "10,%%" r "10,%%" r "8\n" op " %%" r "10,%%" r "10,%%" r "9\n"
#define CLOBBERED                                                                          \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14"

constexpr int64_t kRounds = 2'000'000;
constexpr int kPerRound = 10;

// Zeros multiply as fast as anything, and never become denormal.
void clear() { asm volatile("vzeroall" ::: CLOBBERED, "xmm15"); }
void fma_ymm() {
  clear();
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vfmadd231ps", "ymm")::: CLOBBERED);
}
void fma_zmm() {
  clear();
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vfmadd231ps", "zmm")::: CLOBBERED);
}
void dot_zmm() {
  clear();
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vpdpbusd", "zmm")::: CLOBBERED);
}
// The exact way of AVX2: a multiplication of 16-bit numbers and an addition.
void madd_ymm() {
  clear();
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(
        "vpmaddwd %%ymm10,%%ymm10,%%ymm11\nvpaddd %%ymm11,%%ymm0,%%ymm0\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm12\nvpaddd %%ymm12,%%ymm1,%%ymm1\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm13\nvpaddd %%ymm13,%%ymm2,%%ymm2\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm14\nvpaddd %%ymm14,%%ymm3,%%ymm3\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm11\nvpaddd %%ymm11,%%ymm4,%%ymm4\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm12\nvpaddd %%ymm12,%%ymm5,%%ymm5\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm13\nvpaddd %%ymm13,%%ymm6,%%ymm6\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm14\nvpaddd %%ymm14,%%ymm7,%%ymm7\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm11\nvpaddd %%ymm11,%%ymm8,%%ymm8\n"
        "vpmaddwd %%ymm10,%%ymm10,%%ymm12\nvpaddd %%ymm12,%%ymm9,%%ymm9\n" ::
            : CLOBBERED);
  }
}

double measure(void (*loop)(), int per_instruction) {
  double best = 0;
  for (int i = 0; i < 15; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loop();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(
        best, static_cast<double>(kRounds * kPerRound * per_instruction) / took.count() * 1e-9);
  }
  asm volatile("vzeroupper" ::: "xmm0");
  return best;
}

#endif

}  // namespace

double peak_f32(std::string_view isa) {
#if defined(__x86_64__)

  if (isa == "avx512vnni") return measure(fma_zmm, 16);
  if (isa == "avx2") return measure(fma_ymm, 8);
#endif
  return 0;
}

double peak_u8s8(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512vnni") return measure(dot_zmm, 64);
  if (isa == "avx2") return measure(madd_ymm, 16);
#endif
  return 0;
}

}  // namespace octavo::bench
