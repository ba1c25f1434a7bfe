#include "kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/select.h"

namespace octavo::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool can_run(std::string_view isa) {
  return std::ranges::any_of(runnable(), [&](const Table* table) { return isa == table->name; });
}

#if defined(__x86_64__)

// Assembler, so that no -m flag is needed. Ten accumulators hide the latency of each instruction;
// zeros multiply as fast as anything and never become denormal.
#define TEN(op, r)                                                                                \
  op " %%" r "10,%%" r "10,%%" r "0\n" op " %%" r "10,%%" r "10,%%" r "1\n" op " %%" r "10,%%" r  \
     "10,%%" r "2\n" op " %%" r "10,%%" r "10,%%" r "3\n" op " %%" r "10,%%" r "10,%%" r "4\n" op \
     " %%" r "10,%%" r "10,%%" r "5\n" op " %%" r "10,%%" r "10,%%" r "6\n" op " %%" r "10,%%" r  \
     "10,%%" r "7\n" op " %%" r "10,%%" r "10,%%" r "8\n" op " %%" r "10,%%" r "10,%%" r "9\n"
// The exact way of AVX2, 32 products: see avx2/gemm_u8s8_f32.inl.
#define PAIRS(x, y, acc)                                                                   \
  "vpaddw %%ymm10,%%ymm10,%%ymm" x "\nvpaddw %%ymm10,%%ymm10,%%ymm" y "\nvpmaddwd %%ymm" x \
  ",%%ymm" y ",%%ymm" x "\nvpaddd %%ymm" x ",%%ymm" acc ",%%ymm" acc "\n"
// 16 products of words: see avx2/attention.inl.
#define WORDS(x, acc) \
  "vpmaddwd %%ymm10,%%ymm10,%%ymm" x "\nvpaddd %%ymm" x ",%%ymm" acc ",%%ymm" acc "\n"
#define CLOBBERED                                                                          \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14"

// A fifth of a millisecond: short enough to fall between two interruptions now and then.
constexpr int64_t kRounds = 70'000;
constexpr int kPerRound = 10;

void clear() { asm volatile("vzeroall" ::: CLOBBERED, "xmm15"); }
void fma_ymm() {
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vfmadd231ps", "ymm")::: CLOBBERED);
}
void fma_zmm() {
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vfmadd231ps", "zmm")::: CLOBBERED);
}
void dot_zmm() {
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vpdpbusd", "zmm")::: CLOBBERED);
}
void pairs_ymm() {
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(PAIRS("11", "12", "0") PAIRS("13", "14", "1") PAIRS("11", "12", "2")
                     PAIRS("13", "14", "3") PAIRS("11", "12", "4") PAIRS("13", "14", "5")
                         PAIRS("11", "12", "6") PAIRS("13", "14", "7") PAIRS("11", "12", "8")
                             PAIRS("13", "14", "9")::
                                 : CLOBBERED);
  }
}

void words_zmm() {
  for (int64_t i = 0; i < kRounds; ++i) asm volatile(TEN("vpdpwssd", "zmm")::: CLOBBERED);
}
void words_ymm() {
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(WORDS("11", "0") WORDS("12", "1") WORDS("13", "2") WORDS("14", "3")
                     WORDS("11", "4") WORDS("12", "5") WORDS("13", "6") WORDS("14", "7")
                         WORDS("11", "8") WORDS("12", "9")::
                             : CLOBBERED);
  }
}

#define TILES(acc) "tdpbusd %%tmm4,%%tmm5,%%tmm" acc "\n"
// Ten products of 16 x 16 x 64 over four accumulators, as many as a kernel has; a sixteenth of the
// rounds, since each takes sixteen cycles.
constexpr int kTileMacs = 16 * 16 * 64 / 16;
void tiles() {
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t reserved[15] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
  } const shapes;
  asm volatile("ldtilecfg %0" ::"m"(shapes));
  for (int64_t i = 0; i < kRounds / 16; ++i) {
    asm volatile(TILES("0") TILES("1") TILES("2") TILES("3") TILES("0") TILES("1") TILES("2")
                     TILES("3") TILES("0") TILES("1")::);
  }
  asm volatile("tilerelease" ::);
}

double measure(void (*loop)(), int per_instruction, double seconds) {
  clear();
  double best = 0;
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    loop();
    const auto work = static_cast<double>(kRounds * kPerRound * per_instruction);
    best = std::max(best, work / since(start) * 1e-9);
  } while (since(begin) < seconds);
  asm volatile("vzeroupper" ::: "xmm0");
  return best;
}

#endif

}  // namespace

double measure_f32_peak(std::string_view isa, double seconds) {
  if (!can_run(isa)) return 0;
#if defined(__x86_64__)
  if (isa == "avx512vnni" || isa == "amx") return measure(fma_zmm, 16, seconds);
  if (isa == "avx2") return measure(fma_ymm, 8, seconds);
#endif
  return 0;
}

double measure_u8s8_peak(std::string_view isa, double seconds) {
  if (!can_run(isa)) return 0;
#if defined(__x86_64__)
  if (isa == "amx") return measure(tiles, kTileMacs, seconds);
  if (isa == "avx512vnni") return measure(dot_zmm, 64, seconds);
  if (isa == "avx2") return measure(pairs_ymm, 32, seconds);
#endif
  return 0;
}

double measure_s16_peak(std::string_view isa, double seconds) {
  if (!can_run(isa)) return 0;
#if defined(__x86_64__)
  // Four products of bytes for one of words.
  if (isa == "amx") return measure(tiles, kTileMacs / 4, seconds);
  if (isa == "avx512vnni") return measure(words_zmm, 32, seconds);
  if (isa == "avx2") return measure(words_ymm, 16, seconds);
#endif
  return 0;
}

double measure_read_bandwidth(const void* p, size_t bytes) {
  // 64 bytes at a time in the compiler's own notation; wider registers read no faster from memory.
  using Sixteen = uint64_t __attribute__((vector_size(16)));
  Sixteen sums[4] = {};
  const auto* from = static_cast<const unsigned char*>(p);
  const auto start = Clock::now();
  for (size_t i = 0; i + sizeof sums <= bytes; i += sizeof sums) {
    Sixteen line[4];
    std::memcpy(line, from + i, sizeof line);
    for (size_t j = 0; j < 4; ++j) sums[j] ^= line[j];
  }
  // Used, so that the reading is not left out.
  asm volatile("" ::"r"(&sums) : "memory");
  return static_cast<double>(bytes) / since(start) * 1e-9;
}

}  // namespace octavo::kernels
