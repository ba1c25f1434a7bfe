#pragma once
// The whole recipe: import, smooth, quantize (and the vanilla variant), verify both, write the
// report and the model card.

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octavo/evaluate.h"
#include "octavo/import.h"
#include "octavo/progress.h"
#include "octavo/quantize.h"
#include "octavo/result.h"
#include "octavo/smooth.h"
#include "octavo/verify.h"

namespace octavo {

// compat: the file that quantize_dynamic writes, one activation scale a tensor, a float32 table.
// accurate: a scale a token, and an int8 table; a smaller file that is closer to FP32, in standard
// ops. closest: the same with 16 bits for all activations: twice the products, the closest that
// Octavo makes.
enum class Profile : uint8_t { compat, accurate, closest };
inline constexpr std::array kProfileNames = {std::pair{"compat", Profile::compat},
                                             std::pair{"accurate", Profile::accurate},
                                             std::pair{"closest", Profile::closest}};
const char* name_of(Profile profile);

struct BuildOptions {
  Profile profile = Profile::compat;
  std::optional<double> alpha;  // empty: what suits the profile's activations; none in `closest`
  std::optional<AlphaSearch> search;  // instead of a number; its activations are the profile's
  bool rotate = true;                 // not with `compat`; where the model can be (RotateResidual)
  // What gets 16-bit activations, with `accurate` (QuantizeOptions::protect, ProtectSearch). Both
  // empty: 15% more products. In `closest` everything has them.
  std::vector<std::string> protect;
  std::optional<double> target_cos, max_extra_macs;
  std::filesystem::path protect_log;
  std::optional<uint64_t> max_size;   // bytes of all that `octavo embed` reads, at most
  std::filesystem::path calibration;  // as in SmoothOptions
  std::filesystem::path
      reference;  // of tools/dump_reference.py; empty: against the imported FP32 model
  std::vector<std::string> texts;  // probe; empty: the built-in one
  std::filesystem::path
      retrieval;                // set to evaluate search with (EvaluateOptions::set); empty: none
  std::filesystem::path speed;  // what `octavo bench --json` printed, for the report; empty: none
  bool vanilla = true;
  double min_cos = 0.90;     // gate on the smallest cosine of the smoothed variant
  std::string why;           // reason of a rebuild, for the card's change history
  std::string command_line;  // for the card, without folders; empty: made from source and alpha
  std::string date;          // of a new entry in the change history; empty: today, UTC
};

// What becomes of them. Alpha 0.8 suits one scale for a tensor, 0.5 a scale a token with factors
// made for it: each collapses or loses with the other's (docs/quantization.md). `closest` has none.
struct BuildRecipe {
  std::optional<double> alpha = 0.8;
  Activations activations = Activations::per_tensor;
  TableType table = TableType::float32;
  bool compensate = false;  // QuantizeOptions::compensate
  RotateResidual rotate = RotateResidual::no;
  // Of ProtectSearch; both empty: no search.
  std::optional<double> target_cos = {}, max_extra_macs = {};
};
BuildRecipe recipe_of(const BuildOptions& options);

struct BuildReport {
  struct File {
    std::string name;  // relative to the output folder
    uint64_t size = 0;
    std::string sha256;
  };
  std::optional<VerifyReport> imported;  // the FP32 model, when a reference file was given
  VerifyReport smoothed;
  std::optional<VerifyReport> vanilla;
  ImportReport import;
  SmoothReport smoothing;
  QuantizeReport quantization;              // of the smoothed variant
  std::optional<EvaluateReport> retrieval;  // FP32, smoothed, vanilla
  uint64_t fp32_bytes = 0;                  // of the imported model, file and sidecar
  // Of "fp32", "smoothed" and "vanilla", file and sidecar: embedding tables, weights of linear
  // layers, and the rest.
  struct SizeParts {
    uint64_t tables = 0, linears = 0, rest = 0;
  };
  std::map<std::string, SizeParts> size_parts;
  // All that was published, except report.json and its renderings, report.html and README.md.
  std::vector<File> files;
  std::vector<std::string> changes;  // since the folder's last build; empty: nothing changed
  bool passed = true;
};

// source: snapshot folder or *.gguf. Leaves model.int8.onnx(.data), model.int8.vanilla.onnx(.data),
// the copied files, report.json, report.html and README.md in `output`, also when the gate fails
// (passed is then false and the card says so). The same inputs give the same bytes: the only date
// is that of an entry in the change history, and an entry is added only when something changed.
// FP32 files lie in a folder inside `output` while the build runs. Errors: as import_model,
// smooth_model, quantize_model and verify_model; invalid_input when `output` holds a README.md,
// report.json or report.html that is not a build's, or another ONNX model that reads what this
// would change.
Result<BuildReport> build_model(const std::filesystem::path& source,
                                const std::filesystem::path& output, const BuildOptions& options,
                                const Progress& progress = {});

}  // namespace octavo
