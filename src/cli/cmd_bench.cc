// octavo bench: how fast this model is on this machine, and how far from the most it could be.

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "toolkit/bench.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Measure how fast a model folder embeds on this machine.

Token ids in, pooled vectors out: single texts of several lengths, 32 texts of
128 tokens, and 64 texts of mixed lengths. The roof is what the linear layers
alone need when every multiplication runs at the measured peak and the weights
are read once at the measured bandwidth, whichever takes longer.)";

constexpr const char* kFooter =
    R"(Output: the machine's peaks, then for each line tokens a second, the 50th and
95th percentile of a run's time, and the share of the roof. --profile adds where
the time of one text goes, by step and by layer. Measure on an idle machine.

Examples:
  octavo bench minilm-int8
  octavo bench qwen3-int8 --threads 2 --lengths 128,512 --no-batches
  octavo bench qwen3-int8 --profile 512 --trace trace.json

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string folder;
  BenchOptions bench;
  std::string trace;
  bool no_batches = false;
  bool json = false;
};

constexpr double kGiga = 1e9;
constexpr double kMilliseconds = 1e3;

std::string percent(double share) { return share > 0 ? fixed(100 * share, 0) + "%" : "-"; }

// What steps of one kind, or of one layer, took together.
struct Sum {
  double seconds = 0;
  uint64_t macs = 0;
  void add(const fused::StepTime& step) {
    seconds += step.seconds;
    macs += step.macs;
  }
  double rate() const { return seconds > 0 ? static_cast<double>(macs) / seconds : 0; }
};

// In the order they first run.
std::vector<std::pair<std::string, Sum>> by_step(const BenchReport& report) {
  std::vector<std::pair<std::string, Sum>> sums;
  for (const fused::StepTime& step : report.steps) {
    auto found = std::find_if(sums.begin(), sums.end(),
                              [&](const auto& sum) { return sum.first == step.step; });
    if (found == sums.end()) found = sums.insert(sums.end(), {step.step, {}});
    found->second.add(step);
  }
  return sums;
}

std::map<size_t, Sum> by_layer(const BenchReport& report) {
  std::map<size_t, Sum> sums;
  for (const fused::StepTime& step : report.steps) sums[step.layer].add(step);
  return sums;
}

void print_profile(const BenchReport& r, size_t tokens) {
  std::printf("\nOne text of %zu tokens: %s ms\n", tokens,
              fixed(r.profile_seconds * kMilliseconds, 2).c_str());
  const auto row = [&](Table& table, const std::string& name, const Sum& sum) {
    table.add({name, fixed(sum.seconds * kMilliseconds, 3),
               percent(sum.seconds / r.profile_seconds),
               sum.macs == 0 ? "-" : fixed(sum.rate() / kGiga, 1)});
  };
  Table steps({"step", "ms", "share", "GMAC/s"});
  for (const auto& [name, sum] : by_step(r)) row(steps, name, sum);
  std::printf("%s\n", steps.str().c_str());
  Table layers({"layer", "ms", "share", "GMAC/s"});
  for (const auto& [layer, sum] : by_layer(r))
    row(layers, layer < r.layers ? std::to_string(layer) : "outside", sum);
  std::printf("%s", layers.str().c_str());
}

void print(const BenchReport& r, const BenchOptions& options) {
  std::printf("%s: %s M multiply-adds a token in linear layers, weights %s; %s\n",
              r.model_file.string().c_str(),
              fixed(static_cast<double>(r.work.int8_macs + r.work.float_macs) * 1e-6, 1).c_str(),
              human_bytes(r.work.weight_bytes).c_str(), r.fused ? "fused path" : "node by node");
  if (!r.fused && !r.why_plain.empty()) std::printf("not fused: %s\n", r.why_plain.c_str());
  std::printf("opened in %s s; %d thread%s, %s kernels", fixed(r.open_seconds, 3).c_str(),
              r.machine.threads, r.machine.threads == 1 ? "" : "s", r.machine.isa.c_str());
  if (r.machine.int8_macs > 0)
    std::printf("; peak INT8 %s GMAC/s, FP32 %s GMAC/s",
                fixed(r.machine.int8_macs / kGiga, 0).c_str(),
                fixed(r.machine.f32_macs / kGiga, 0).c_str());
  std::printf("; memory %s GB/s\n", fixed(r.machine.bytes_per_second / kGiga, 1).c_str());
  std::printf("largest resident memory %s\n\n", human_bytes(r.peak_bytes).c_str());
  Table table({"texts x tokens", "tokens/s", "p50 ms", "p95 ms", "runs", "of the roof"});
  for (const auto& line : r.lines)
    table.add({line.name, fixed(line.tokens_per_second(), 0), fixed(line.p50 * kMilliseconds, 2),
               fixed(line.p95 * kMilliseconds, 2), std::to_string(line.runs),
               percent(line.share_of_roof())});
  std::printf("%s", table.str().c_str());
  for (const size_t length : r.too_long)
    std::printf("left out: %zu tokens, more than the model has positions\n", length);
  if (options.profile != 0) print_profile(r, options.profile);
}

Json to_json(const BenchReport& r) {
  Json out = {{"model", r.model_file.string()},
              {"fused", r.fused},
              {"why_plain", r.why_plain},
              {"open_seconds", r.open_seconds},
              {"peak_bytes", r.peak_bytes},
              {"machine",
               {{"kernels", r.machine.isa},
                {"threads", r.machine.threads},
                {"int8_macs_per_second", r.machine.int8_macs},
                {"f32_macs_per_second", r.machine.f32_macs},
                {"bytes_per_second", r.machine.bytes_per_second}}},
              {"int8_macs_per_token", r.work.int8_macs},
              {"float_macs_per_token", r.work.float_macs},
              {"weight_bytes", r.work.weight_bytes}};
  out["lines"] = Json::array();
  for (const auto& line : r.lines)
    out["lines"].push_back({{"name", line.name},
                            {"texts", line.texts},
                            {"tokens", line.tokens},
                            {"runs", line.runs},
                            {"p50_seconds", line.p50},
                            {"p95_seconds", line.p95},
                            {"tokens_per_second", line.tokens_per_second()},
                            {"share_of_roof", line.share_of_roof()}});
  out["too_long"] = r.too_long;
  if (!r.steps.empty()) {
    out["profile_seconds"] = r.profile_seconds;
    out["profile"] = Json::array();
    for (const auto& step : r.steps)
      out["profile"].push_back({{"layer", step.layer},
                                {"step", step.step},
                                {"start", step.start},
                                {"seconds", step.seconds},
                                {"macs", step.macs}});
  }
  return out;
}

Status run(const Arguments& args, const Context& context) {
  std::string folder = args.folder;
  OCTAVO_CHECK(resolve_model(folder, HubWeights::onnx));
  OCTAVO_TRY(const BenchReport report, bench_model(folder, args.bench, context.progress()));
  if (!report.fewer_threads.empty())
    std::fprintf(stderr, "octavo: warning: %s\n", report.fewer_threads.c_str());
  if (!args.trace.empty()) OCTAVO_CHECK(write_file(args.trace, chrome_trace(report)));
  if (args.json) {
    std::puts(to_json(report).dump(2).c_str());
  } else {
    print(report, args.bench);
  }
  return Done{};
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("bench", kDescription);
  command->footer(kFooter);
  const auto args = std::make_shared<Arguments>();
  BenchOptions& bench = args->bench;
  command
      ->add_option("DIR", args->folder,
                   "folder with an ONNX model, or org/name[@revision] on the hub")
      ->required()
      ->type_name("DIR");
  command->add_option("--lengths", bench.lengths, "tokens of the single texts, by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole(1, kMostTokens))
      ->type_name("N,...");
  command->add_flag("--no-batches", args->no_batches, "single texts only");
  command->add_option("--seconds", bench.seconds, "how long each line is measured")
      ->check(number(0.001, 3600))
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--profile", bench.profile, "show where the time of a text of N tokens goes")
      ->check(whole(1, kMostTokens))
      ->type_name("N");
  command
      ->add_option("--trace", args->trace,
                   "with --profile: write its steps for chrome://tracing or ui.perfetto.dev")
      ->type_name("FILE");
  command
      ->add_option("--model-file", bench.model_file,
                   "ONNX file in DIR, or a path; else model.int8.onnx, model.onnx, onnx/model.onnx")
      ->type_name("FILE");
  add_threads(*command, bench.threads);
  command->add_flag("--exact-onnx", bench.exact_onnx, "run the graph node by node, as written");
  command->add_flag("--json", args->json, "print one JSON object, for scripts");
  command->callback([args, &context] {
    if (!args->trace.empty() && args->bench.profile == 0)
      throw CLI::ValidationError("--trace needs --profile N");
    args->bench.batches = !args->no_batches;
    if (const Status status = run(*args, context); !status) context.fail(status.error());
  });
}

}  // namespace octavo::cli
