#pragma once
// How fast a model folder embeds on this machine, beside what the machine could do at most: what
// `octavo bench` prints. From token ids to pooled vectors; tokenization is not in it.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "octavo/progress.h"
#include "runtime/fused/encoder.h"
#include "toolkit/linear_work.h"
#include "toolkit/machine_speed.h"

namespace octavo {

struct BenchOptions {
  std::string model_file = {};  // as in EmbedderOptions
  int threads = 0;
  bool exact_onnx = false;
  std::vector<size_t> lengths = {8, 32, 128, 512, 2048, 8192};  // tokens of a single text
  bool batches = true;  // 32 texts of 128 tokens, 64 texts of 8 to 512
  double seconds = 2;   // how long a line is measured; at least one run, whatever it takes
  size_t profile = 0;   // tokens of a text whose steps are timed; 0: none
};

struct BenchReport {
  struct Line {
    std::string name;  // "1 x 128"
    size_t texts = 0;
    size_t tokens = 0;
    size_t runs = 0;
    double p50 = 0, p95 = 0;  // seconds a run
    // What the linear layers alone need at the machine's peaks, the larger of arithmetic and
    // reading the weights once; 0 when the peak is not known.
    double roof = 0;
    double tokens_per_second() const { return static_cast<double>(tokens) / p50; }
    double share_of_roof() const { return roof / p50; }
  };
  std::filesystem::path model_file;
  MachineSpeed machine;
  LinearWork work;
  double open_seconds = 0;
  // The process's largest resident memory after all lines, mapped weights included: of a first
  // start, which packs them, more than of a later one.
  uint64_t peak_bytes = 0;
  bool fused = false;
  std::string why_plain;
  std::string fewer_threads;  // thread_shortage()  // why the graph runs node by node, when it does
  std::vector<Line> lines;
  std::vector<size_t> too_long;        // lengths left out: the model has fewer positions
  std::vector<fused::StepTime> steps;  // of the profile's fastest run
  size_t layers = 0;                   // steps of layer `layers` are outside all of them
  double profile_seconds = 0;          // of that run
};

// Errors: those of opening the folder and of encoding; unsupported: a profile of a graph that runs
// node by node.
Result<BenchReport> bench_model(const std::filesystem::path& folder, const BenchOptions& options,
                                const Progress& progress = {});

// Steps for chrome://tracing and ui.perfetto.dev.
std::string chrome_trace(const BenchReport& report);

}  // namespace octavo
