// bench_kernels --benchmark_filter=f32/avx2 : GMAC/s of one core and the share of its peak, for the
// shapes of MiniLM (384, 1536), SmolLM2 (576, 1536), Qwen3-0.6B (1024, 3072) and of attention.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/peak.h"
#include "kernels/select.h"

namespace octavo::bench {
namespace {

using kernels::Table;

struct Shape {
  size_t m, n, k;
};
constexpr Shape kShapes[] = {{1, 1536, 384},   {4, 1536, 384},    {8, 1536, 384},
                             {16, 1536, 384},  {32, 384, 384},    {64, 384, 1536},
                             {128, 384, 384},  {128, 1536, 384},  {128, 384, 1536},
                             {512, 1536, 576}, {256, 3072, 1024}, {256, 1024, 3072}};
// Queries by keys, and probabilities by values.
constexpr Shape kAttention[] = {{16, 16, 32},   {128, 128, 32}, {128, 32, 128}, {128, 128, 64},
                                {128, 64, 128}, {512, 512, 64}, {512, 64, 512}};

void finish(benchmark::State& state, const Shape& s, double peak) {
  const auto work = static_cast<double>(s.m * s.n * s.k) * static_cast<double>(state.iterations());
  state.counters["GMAC/s"] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsRate);
  if (peak > 0) {
    state.counters["%peak"] = benchmark::Counter(work * 1e-7 / peak, benchmark::Counter::kIsRate);
  }
}

void f32(benchmark::State& state, const Table* table, Shape s, double peak) {
  const std::vector<float> a(s.m * s.k, 0.5F);
  const std::vector<float> packed(kernels::packed_f32_floats(s.k, s.n), 0.25F);
  std::vector<float> c(s.m * s.n);
  for (auto _ : state) {
    table->gemm_f32(s.m, 0, s.n, s.k, a.data(), s.k, packed.data(), nullptr, c.data(), s.n);
    benchmark::ClobberMemory();
  }
  finish(state, s, peak);
}

// B packed from its transpose inside the loop, as the keys of attention are.
void f32_pack_columns(benchmark::State& state, const Table* table, Shape s, double peak) {
  const std::vector<float> a(s.m * s.k, 0.5F);
  const std::vector<float> b(s.n * s.k, 0.25F);
  std::vector<float> packed(kernels::packed_f32_floats(s.k, s.n));
  std::vector<float> c(s.m * s.n);
  for (auto _ : state) {
    kernels::pack_f32(s.k, s.n, b.data(), 1, s.k, packed.data());
    table->gemm_f32(s.m, 0, s.n, s.k, a.data(), s.k, packed.data(), nullptr, c.data(), s.n);
    benchmark::ClobberMemory();
  }
  finish(state, s, peak);
}

void f32_pack_rows(benchmark::State& state, const Table* table, Shape s, double peak) {
  const std::vector<float> a(s.m * s.k, 0.5F);
  const std::vector<float> b(s.n * s.k, 0.25F);
  std::vector<float> packed(kernels::packed_f32_floats(s.k, s.n));
  std::vector<float> c(s.m * s.n);
  for (auto _ : state) {
    kernels::pack_f32(s.k, s.n, b.data(), s.n, 1, packed.data());
    table->gemm_f32(s.m, 0, s.n, s.k, a.data(), s.k, packed.data(), nullptr, c.data(), s.n);
    benchmark::ClobberMemory();
  }
  finish(state, s, peak);
}

void f32_unpacked(benchmark::State& state, const Table* table, Shape s, double peak) {
  const std::vector<float> a(s.m * s.k, 0.5F);
  const std::vector<float> b(s.n * s.k, 0.25F);
  std::vector<float> c(s.m * s.n);
  for (auto _ : state) {
    table->gemm_f32_unpacked(s.m, s.n, s.k, a.data(), s.k, b.data(), s.n, c.data(), s.n);
    benchmark::ClobberMemory();
  }
  finish(state, s, peak);
}

void u8s8(benchmark::State& state, const Table* table, Shape s, double peak) {
  const std::vector<uint8_t> a(s.m * s.k, 200);
  const std::vector<int8_t> packed(kernels::packed_s8_bytes(s.k, s.n), -77);
  const std::vector<int32_t> sums(s.n, 1);
  const uint8_t zero = 128;
  std::vector<int32_t> c(s.m * s.n);
  for (auto _ : state) {
    table->gemm_u8s8_s32(s.m, 0, s.n, s.k, a.data(), s.k, &zero, 0, packed.data(), sums.data(),
                         c.data(), s.n);
    benchmark::ClobberMemory();
  }
  finish(state, s, peak);
}

std::string name(const char* what, const Table* table, const Shape& s) {
  return std::string(what) + "/" + table->name + "/" + std::to_string(s.m) + "x" +
         std::to_string(s.n) + "x" + std::to_string(s.k);
}

const bool registered = [] {
  for (const Table* table : kernels::runnable()) {
    if (table == &kernels::kRef) continue;
    const double float_peak = kernels::measure_f32_peak(table->name);
    const double integer_peak = kernels::measure_u8s8_peak(table->name);
    const auto add = [&](const char* what, auto function, const Shape& s, double peak) {
      benchmark::RegisterBenchmark(name(what, table, s).c_str(), function, table, s, peak);
    };
    for (const Shape& s : kShapes) add("f32", f32, s, float_peak);
    for (const Shape& s : kShapes) add("u8s8", u8s8, s, integer_peak);
    for (const Shape& s : kAttention) {
      add("attention/ready", f32, s, float_peak);
      add("attention/pack_columns", f32_pack_columns, s, float_peak);
      add("attention/pack_rows", f32_pack_rows, s, float_peak);
      add("attention/unpacked", f32_unpacked, s, float_peak);
    }
  }
  return true;
}();

}  // namespace
}  // namespace octavo::bench
