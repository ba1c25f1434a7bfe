// bench_kernels --benchmark_filter=attention_s16/avx2 : one head over a whole sequence, causal, 64
// queries a call as the forward pass makes them, keys and values packed beforehand. Multiply-adds
// are counted for the keys that a query sees; %peak is of vpdpwssd (or vpmaddwd + vpaddd; amx: of
// its tiles), of FMA for float. Then what packing costs an element.

#include "kernels/attention.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/peak.h"
#include "kernels/select.h"

namespace octavo::bench {
namespace {

using kernels::Table;

constexpr size_t kSizes[] = {32, 64, 128};
constexpr size_t kTokens[] = {8, 32, 128, 512, 2048, 8192};
constexpr size_t kRows = 64;

// Scores of a few units, as in models.
std::vector<float> numbers(size_t n, uint32_t seed) {
  std::vector<float> v(n);
  for (float& x : v) {
    seed = seed * 1664525 + 1013904223;
    x = static_cast<float>(seed >> 8) * 0x1p-22F - 2;
  }
  return v;
}

struct Scratch {
  std::vector<float> data;
  explicit Scratch(size_t d) : data(kernels::attention_scratch(kRows, d) / sizeof(float) + 16) {}
  void* aligned() {
    const auto address = reinterpret_cast<uintptr_t>(data.data());
    return data.data() + (64 - address % 64) % 64 / sizeof(float);
  }
};

void finish(benchmark::State& state, size_t tokens, size_t d, double peak) {
  const auto work =
      static_cast<double>(tokens * (tokens + 1) * d) * static_cast<double>(state.iterations());
  state.counters["GMAC/s"] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsRate);
  state.counters["%peak"] = benchmark::Counter(work * 1e-7 / peak, benchmark::Counter::kIsRate);
}

void attention_s16(benchmark::State& state, const Table* table, size_t tokens, size_t d,
                   double peak) {
  const auto q = numbers(tokens * d, 1);
  const auto k = numbers(tokens * d, 2);
  const auto v = numbers(tokens * d, 3);
  const size_t blocks = kernels::key_blocks(tokens);
  std::vector<int16_t> q16(tokens * d);
  std::vector<int16_t> k16(blocks * kernels::packed_key_s16(d));
  std::vector<int16_t> v16(blocks * kernels::packed_value_s16(d));
  std::vector<float> q_scale(tokens);
  std::vector<float> k_scale(blocks * kernels::kBlockKeys);
  std::vector<float> v_scale(blocks * kernels::kBlockKeys);
  table->quantize_rows_f32_s16(tokens, d, q.data(), d, q16.data(), d, q_scale.data());
  for (size_t b = 0; b < blocks; ++b) {
    const size_t from = b * kernels::kBlockKeys;
    const size_t count = std::min(kernels::kBlockKeys, tokens - from);
    table->pack_key_s16(count, d, k.data() + from * d, d,
                        k16.data() + b * kernels::packed_key_s16(d), k_scale.data() + from);
    table->pack_value_s16(count, d, v.data() + from * d, d,
                          v16.data() + b * kernels::packed_value_s16(d), v_scale.data() + from);
  }
  const kernels::Keys keys{tokens,
                           k16.data(),
                           kernels::packed_key_s16(d),
                           k_scale.data(),
                           kernels::kBlockKeys,
                           v16.data(),
                           kernels::packed_value_s16(d),
                           v_scale.data(),
                           kernels::kBlockKeys};
  std::vector<float> out(tokens * d);
  Scratch scratch(d);
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  for (auto _ : state) {
    for (size_t row = 0; row < tokens; row += kRows) {
      table->attention_s16(std::min(kRows, tokens - row), d, q16.data() + row * d, d,
                           q_scale.data() + row, scale, row, true, 0, keys, out.data() + row * d, d,
                           scratch.aligned());
    }
    benchmark::ClobberMemory();
  }
  finish(state, tokens, d, peak);
}

void attention_f32(benchmark::State& state, const Table* table, size_t tokens, size_t d,
                   double peak) {
  const auto q = numbers(tokens * d, 1);
  const auto k = numbers(tokens * d, 2);
  const auto v = numbers(tokens * d, 3);
  const size_t blocks = kernels::key_blocks(tokens);
  std::vector<float> packed(blocks * kernels::packed_key_f32(d));
  for (size_t b = 0; b < blocks; ++b) {
    const size_t from = b * kernels::kBlockKeys;
    kernels::pack_key_f32(std::min(kernels::kBlockKeys, tokens - from), d, k.data() + from * d, d,
                          packed.data() + b * kernels::packed_key_f32(d));
  }
  const kernels::KeysF32 keys{tokens, packed.data(), kernels::packed_key_f32(d), v.data(), d};
  std::vector<float> out(tokens * d);
  Scratch scratch(d);
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  for (auto _ : state) {
    for (size_t row = 0; row < tokens; row += kRows) {
      table->attention_f32(std::min(kRows, tokens - row), d, q.data() + row * d, d, scale, row,
                           true, 0, keys, out.data() + row * d, d, scratch.aligned());
    }
    benchmark::ClobberMemory();
  }
  finish(state, tokens, d, peak);
}

enum class Pack { query, key, value };

void pack_s16(benchmark::State& state, const Table* table, Pack what, size_t d) {
  constexpr size_t kTokensPacked = kernels::kBlockKeys;
  const auto x = numbers(kTokensPacked * d, 4);
  std::vector<int16_t> packed(kTokensPacked * kernels::padded_channels(d));
  std::vector<float> scale(kTokensPacked);
  for (auto _ : state) {
    if (what == Pack::query) {
      table->quantize_rows_f32_s16(kTokensPacked, d, x.data(), d, packed.data(), d, scale.data());
    } else if (what == Pack::key) {
      table->pack_key_s16(kTokensPacked, d, x.data(), d, packed.data(), scale.data());
    } else {
      table->pack_value_s16(kTokensPacked, d, x.data(), d, packed.data(), scale.data());
    }
    benchmark::ClobberMemory();
  }
  const auto elements = static_cast<double>(kTokensPacked * d * state.iterations());
  state.counters["Gelement/s"] = benchmark::Counter(elements * 1e-9, benchmark::Counter::kIsRate);
}

const bool registered = [] {
  for (const Table* table : kernels::runnable()) {
    if (table == &kernels::kRef) continue;
    const std::string isa = table->name;
    const double integer_peak = kernels::measure_s16_peak(isa);
    const double float_peak = kernels::measure_f32_peak(isa);
    for (const size_t d : kSizes) {
      const std::string size = "/d" + std::to_string(d);
      for (const size_t tokens : kTokens) {
        const std::string end = isa + size + "/" + std::to_string(tokens);
        benchmark::RegisterBenchmark(("attention_s16/" + end).c_str(), attention_s16, table, tokens,
                                     d, integer_peak);
        benchmark::RegisterBenchmark(("attention_f32/" + end).c_str(), attention_f32, table, tokens,
                                     d, float_peak);
      }
      benchmark::RegisterBenchmark(("pack_s16/query/" + isa + size).c_str(), pack_s16, table,
                                   Pack::query, d);
      benchmark::RegisterBenchmark(("pack_s16/key/" + isa + size).c_str(), pack_s16, table,
                                   Pack::key, d);
      benchmark::RegisterBenchmark(("pack_s16/value/" + isa + size).c_str(), pack_s16, table,
                                   Pack::value, d);
    }
  }
  return true;
}();

}  // namespace
}  // namespace octavo::bench
