#pragma once
// The whole recipe: import, smooth, quantize (and the vanilla variant), verify both, write the
// report and the model card.

#include <filesystem>
#include <string>

#include "octavo/progress.h"
#include "octavo/result.h"
#include "octavo/smooth.h"
#include "octavo/verify.h"

namespace octavo {

struct BuildOptions {
  double alpha = 0.8;
  std::filesystem::path calibration;  // as in SmoothOptions
  std::filesystem::path
      reference;  // of tools/dump_reference.py; empty: against the imported FP32 model
  std::vector<std::string> texts;  // probe; empty: the built-in one
  bool vanilla = true;
  double min_cos = 0.90;     // gate on the smoothed variant
  std::string why;           // reason of a rebuild, for the card's change history
  std::string command_line;  // as typed, for the card
};

struct BuildReport {
  VerifyReport smoothed;
  std::optional<VerifyReport> vanilla;
  SmoothReport smoothing;
  bool passed = true;
};

// source: snapshot folder or *.gguf. Leaves model.int8.onnx(.data), model.int8.vanilla.onnx(.data),
// the copied files, report.json and README.md in `output`. The same inputs give the same bytes.
Result<BuildReport> build_model(const std::filesystem::path& source,
                                const std::filesystem::path& output, const BuildOptions& options,
                                const Progress& progress = {});

}  // namespace octavo
