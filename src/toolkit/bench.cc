#include "toolkit/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/thread_shortage.h"
#include "embed/encoder.h"
#include "embed/model_dir.h"
#include "embed/signature.h"
#include "formats/onnx.h"
#include "kernels/no_kernels.h"
#include "toolkit/score.h"

namespace octavo {

namespace {

using Clock = std::chrono::steady_clock;
using Texts = std::vector<std::vector<int64_t>>;

constexpr size_t kMostRuns = 10'000;
constexpr int kProfileRuns = 5;
constexpr double kMicroseconds = 1e6;        // a second
constexpr int64_t kUnknownVocabulary = 100;  // every table has that many rows

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of this process so far; 0 where the system does not say.
uint64_t peak_resident_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

struct Workload {
  std::string name;
  std::vector<size_t> lengths;
};

std::vector<Workload> workloads(const BenchOptions& options, size_t positions,
                                std::vector<size_t>& too_long) {
  std::vector<Workload> out;
  for (const size_t length : options.lengths) {
    if (positions != 0 && length > positions) {
      too_long.push_back(length);
    } else {
      out.push_back({"1 x " + std::to_string(length), {length}});
    }
  }
  if (!options.batches) return out;
  const auto bounded = [&](size_t n) { return positions != 0 ? std::min(n, positions) : n; };
  const size_t same = bounded(128);
  out.push_back({"32 x " + std::to_string(same), std::vector<size_t>(32, same)});
  const size_t shortest = bounded(8);
  const size_t longest = bounded(512);
  Workload mixed{"64 x " + std::to_string(shortest) + ".." + std::to_string(longest), {}};
  // 37 has no divisor in common with 64: every length once, in an order that is no help.
  for (size_t i = 0; i < 64; ++i)
    mixed.lengths.push_back(shortest + i * 37 % 64 * (longest - shortest) / 63);
  out.push_back(std::move(mixed));
  return out;
}

Texts random_texts(const std::vector<size_t>& lengths, int64_t vocabulary) {
  std::mt19937_64 random(5);
  Texts texts;
  for (const size_t length : lengths) {
    std::vector<int64_t> ids(length);
    for (int64_t& id : ids) id = static_cast<int64_t>(random() % static_cast<uint64_t>(vocabulary));
    texts.push_back(std::move(ids));
  }
  return texts;
}

double roof_seconds(const LinearWork& work, const MachineSpeed& machine, size_t tokens) {
  if (machine.int8_macs <= 0 || machine.f32_macs <= 0) return 0;
  const double arithmetic = static_cast<double>(work.int8_macs) / machine.int8_macs +
                            static_cast<double>(work.float_macs) / machine.f32_macs;
  const double reading = machine.bytes_per_second <= 0
                             ? 0
                             : static_cast<double>(work.weight_bytes) / machine.bytes_per_second;
  return std::max(static_cast<double>(tokens) * arithmetic, reading);
}

Result<BenchReport::Line> measure(const Encoder& encoder, const Workload& workload,
                                  int64_t vocabulary, double budget) {
  const Texts texts = random_texts(workload.lengths, vocabulary);
  BenchReport::Line line;
  line.name = workload.name;
  line.texts = texts.size();
  for (const auto& ids : texts) line.tokens += ids.size();
  std::vector<double> times;
  double spent = 0;
  // The first run warms up, and counts only when there is no time for another.
  for (bool warm = false; spent < budget && times.size() < kMostRuns;) {
    const auto start = Clock::now();
    OCTAVO_TRY(const std::vector<float> rows, encoder.encode(texts));
    const double took = seconds_since(start);
    if (warm || took >= budget) {
      times.push_back(took);
      spent += took;
    }
    warm = true;
  }
  line.runs = times.size();
  line.p50 = percentile(times, 50);
  line.p95 = percentile(times, 95);
  return line;
}

Status profile(const Encoder& encoder, Pooling pooling, size_t tokens, int64_t vocabulary,
               BenchReport& report) {
  if (encoder.fused() == nullptr)
    return Error{Code::unsupported,
                 "a profile needs the fused path, and this graph runs node by node" +
                     (report.why_plain.empty() ? std::string() : ": " + report.why_plain)};
  const fused::FusedEncoder& fused = *encoder.fused()->encoder;
  const Texts texts = random_texts({tokens}, vocabulary);
  const std::vector<size_t> offsets{0, tokens};
  std::vector<float> rows(tokens * encoder.width());
  report.layers = fused.spec().layers.size();
  fused::RunOptions options;
  options.rows = pooling == Pooling::mean  ? fused::Rows::all
                 : pooling == Pooling::cls ? fused::Rows::first
                                           : fused::Rows::last;
  for (int i = 0; i < kProfileRuns; ++i) {
    std::vector<fused::StepTime> steps;
    options.times = &steps;
    const auto start = Clock::now();
    OCTAVO_CHECK(fused.run(texts[0], offsets, encoder.pool(), options, rows.data()));
    const double took = seconds_since(start);
    if (i == 0 || took < report.profile_seconds) {
      report.profile_seconds = took;
      report.steps = std::move(steps);
    }
  }
  return Done{};
}

}  // namespace

Result<BenchReport> bench_model(const std::filesystem::path& folder, const BenchOptions& options,
                                const Progress& progress) {
  BenchReport report;
  OCTAVO_TRY(const ModelDir dir, read_model_dir(folder, options.model_file));
  if (dir.model_file.empty())
    return Error{Code::not_found, folder.string() + ": has no ONNX model; name the file"};
  report.model_file = dir.model_file;
  int64_t vocabulary = kUnknownVocabulary;
  {
    OCTAVO_TRY(const Model model, read_onnx(dir.model_file));
    OCTAVO_TRY(const Signature signature, read_signature(model));
    if (signature.vocabulary > 0) vocabulary = signature.vocabulary;
    OCTAVO_TRY(report.work, linear_work(model));
  }
  const kernels::Table* table = kernels::best();
  if (table == nullptr) return Error{Code::unsupported, kernels::no_kernels()};
  const auto pool = std::make_shared<ThreadPool>(options.threads);
  report.fewer_threads = thread_shortage(*pool, options.threads);
  EncoderOptions encoder_options;
  encoder_options.pool = pool;
  encoder_options.exact_onnx = options.exact_onnx;
  encoder_options.positions = dir.positions != 0 ? dir.positions : dir.max_length;
  const auto start = Clock::now();
  OCTAVO_TRY(const Encoder encoder, Encoder::open(dir.model_file, dir.pooling, encoder_options));
  report.open_seconds = seconds_since(start);
  report.fused = encoder.fused() != nullptr;
  report.why_plain = encoder.why_plain();
  if (options.profile != 0)
    OCTAVO_CHECK(profile(encoder, dir.pooling, options.profile, vocabulary, report));

  const auto wanted = workloads(options, dir.positions, report.too_long);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (progress) progress("bench", i, wanted.size());
    OCTAVO_TRY(BenchReport::Line line, measure(encoder, wanted[i], vocabulary, options.seconds));
    report.lines.push_back(std::move(line));
  }
  report.peak_bytes = peak_resident_bytes();
  // After the peak was read: it needs memory of its own.
  report.machine = measure_machine(*pool, table->name);
  for (BenchReport::Line& line : report.lines)
    line.roof = roof_seconds(report.work, report.machine, line.tokens);
  if (progress) progress("bench", wanted.size(), wanted.size());
  return report;
}

std::string chrome_trace(const BenchReport& report) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (const fused::StepTime& step : report.steps)
    events.push_back({{"name", step.step},
                      {"cat", step.layer < report.layers ? "layer " + std::to_string(step.layer)
                                                         : std::string("outside the layers")},
                      {"ph", "X"},
                      {"ts", step.start * kMicroseconds},
                      {"dur", step.seconds * kMicroseconds},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", {{"layer", step.layer}, {"macs", step.macs}}}});
  return nlohmann::ordered_json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}
      .dump();
}

}  // namespace octavo
