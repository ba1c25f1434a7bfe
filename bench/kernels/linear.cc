// bench_kernels --benchmark_filter=linear/ : the product of a linear layer with its epilogue,
// GMAC/s and the share of the threads' peak, for the layers of Qwen3-0.6B and MiniLM. Weights are
// as many copies as do not fit the caches, as in a forward pass; every thread has its columns.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/peak.h"
#include "kernels/select.h"

namespace octavo::bench {
namespace {

using kernels::Epilogue;
using kernels::Table;

struct Layer {
  const char* name;
  size_t n, k;
  Epilogue epilogue;
};
constexpr Layer kLayers[] = {
    {"qwen3_qkv", 4096, 1024, Epilogue::store},      {"qwen3_o", 1024, 2048, Epilogue::add},
    {"qwen3_gate_up", 6144, 1024, Epilogue::swiglu}, {"qwen3_down", 1024, 3072, Epilogue::add},
    {"minilm_up", 1536, 384, Epilogue::gelu},        {"minilm_down", 384, 1536, Epilogue::add}};

// A multiple of the last cache's size.
constexpr size_t kWeightBytes = size_t{128} << 20;

void linear(benchmark::State& state, const Table* table, Layer layer, size_t m, double peak) {
  const size_t bytes = kernels::packed_s8_bytes(layer.k, layer.n);
  // Shared by the threads of one benchmark, which begins and ends with a barrier.
  static std::vector<int8_t> weights;
  static std::vector<float> c;
  if (state.thread_index() == 0) {
    weights.resize(kWeightBytes);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<int8_t>(i * 37 % 251);
    c.assign(m * layer.n, 0.5F);
  }
  const std::vector<uint8_t> a(m * layer.k, 130);
  const std::vector<uint8_t> zero(m, 128);
  const std::vector<float> a_scale(m, 1e-3F);
  const std::vector<float> scale(layer.n, 1e-3F);
  const std::vector<int32_t> sums(layer.n, 1);
  const auto threads = static_cast<size_t>(state.threads());
  const auto index = static_cast<size_t>(state.thread_index());
  const size_t panels = layer.n / kernels::kPanelS8;
  const size_t n0 = panels * index / threads * kernels::kPanelS8;
  const size_t n1 = panels * (index + 1) / threads * kernels::kPanelS8;
  size_t copy = 0;
  for (auto _ : state) {
    const kernels::LayerS8 s8{layer.k, weights.data() + copy * bytes, sums.data(), scale.data(),
                              nullptr};
    table->gemm_u8s8_f32(m, n0, n1, a.data(), layer.k, a_scale.data(), zero.data(), s8,
                         layer.epilogue, c.data(), layer.n);
    copy = (copy + 1) % (kWeightBytes / bytes);
    benchmark::ClobberMemory();
  }
  const auto work =
      static_cast<double>(m * (n1 - n0) * layer.k) * static_cast<double>(state.iterations());
  state.counters["GMAC/s"] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsRate);
  state.counters["%peak"] =
      benchmark::Counter(work * 1e-7 / peak, benchmark::Counter::kAvgThreadsRate);
}

void quantize_rows(benchmark::State& state, const Table* table, size_t n) {
  constexpr size_t kRows = 16;
  std::vector<float> x(kRows * n);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) * 0.1F - 3;
  std::vector<uint8_t> y(kRows * n);
  std::vector<float> scale(kRows);
  std::vector<uint8_t> zero(kRows);
  for (auto _ : state) {
    table->quantize_rows_f32_u8(kRows, n, x.data(), n, nullptr, y.data(), n, scale.data(),
                                zero.data());
    benchmark::ClobberMemory();
  }
  const auto elements = static_cast<double>(kRows * n) * static_cast<double>(state.iterations());
  state.counters["ns/element"] = benchmark::Counter(
      elements * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const bool registered = [] {
  for (const Table* table : kernels::runnable()) {
    if (table == &kernels::kRef) continue;
    const double peak = kernels::measure_u8s8_peak(table->name);
    for (const Layer& layer : kLayers) {
      for (const size_t m : {1, 8, 16, 128, 512}) {
        const std::string name =
            std::string("linear/") + table->name + "/" + layer.name + "/" + std::to_string(m);
        benchmark::RegisterBenchmark(name.c_str(), linear, table, layer, m, peak)
            ->ThreadRange(1, 2)
            ->UseRealTime();
      }
    }
    for (const size_t n : {384, 1024, 3072}) {
      const std::string name =
          std::string("quantize_rows/") + table->name + "/" + std::to_string(n);
      benchmark::RegisterBenchmark(name.c_str(), quantize_rows, table, n);
    }
  }
  return true;
}();

}  // namespace
}  // namespace octavo::bench
