#include "toolkit/machine_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>

#include "kernels/peak.h"

namespace octavo {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTries = 8;  // the best of so many: anything else was somebody's disturbance
// Beyond every last-level cache of ordinary servers but the largest.
constexpr size_t kBytes = size_t{512} << 20;
constexpr double kGiga = 1e9;
constexpr double kPeakSeconds = 0.1;
constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t kBlockWords = (size_t{1} << 20) / kWord;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The sum over threads that measure side by side.
double all_threads(ThreadPool& pool, const std::string& isa,
                   double (*measure)(std::string_view isa, double seconds)) {
  std::atomic<double> total{0};
  pool.parallel_for(static_cast<size_t>(pool.threads()), 1, [&](size_t begin, size_t end) {
    for (size_t part = begin; part < end; ++part) total += measure(isa, kPeakSeconds);
  });
  return total.load() * kGiga;
}

double best_bandwidth(ThreadPool& pool) {
  const size_t words = kBytes / kWord;
  const std::unique_ptr<uint64_t[]> memory(new (std::nothrow) uint64_t[words]);
  if (memory == nullptr) return 0;
  const size_t blocks = words / kBlockWords;
  // Pages that were never written are all the same page of zeros.
  pool.parallel_for(blocks, 1, [&](size_t begin, size_t end) {
    std::fill(memory.get() + begin * kBlockWords, memory.get() + end * kBlockWords, begin + 1);
  });
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    // All threads together, by the clock: what one thread reads alone is no share of it.
    const auto start = Clock::now();
    pool.parallel_for(blocks, 4, [&](size_t begin, size_t end) {
      kernels::measure_read_bandwidth(memory.get() + begin * kBlockWords,
                                      (end - begin) * kBlockWords * kWord);
    });
    best = std::max(best, static_cast<double>(kBytes) / seconds_since(start));
  }
  return best;
}

}  // namespace

MachineSpeed measure_machine(ThreadPool& pool, const std::string& isa) {
  return {.isa = isa,
          .threads = pool.threads(),
          .int8_macs = all_threads(pool, isa, kernels::measure_u8s8_peak),
          .f32_macs = all_threads(pool, isa, kernels::measure_f32_peak),
          .bytes_per_second = best_bandwidth(pool)};
}

}  // namespace octavo
