#pragma once
// report.json: everything a build measured, for programs and for the next build, which compares
// itself with it. The model card is a rendering of it and knows nothing else.

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "embed/model_dir.h"
#include "octavo/build.h"

namespace octavo {

struct ReportInput {
  std::string source;  // as the card names it
  BuildOptions options;
  BuildReport build;
  ModelDir use;                    // how the embeddings are made
  std::string calibration_sha256;  // of the file; empty: the built-in set
  // Of node_errors() on the variants; empty when they were not measured.
  std::map<std::string, double> smoothed_errors, vanilla_errors;
  nlohmann::json speed;  // of speed_report(); null: none
};

// Cosines are rounded to 6 digits and other measurements to 6 significant ones: what is beyond
// differs between CPUs and means nothing.
nlohmann::json make_report(const ReportInput& input);

// What a report keeps of the file that `octavo bench --json` wrote. Errors: invalid_input naming
// the file when it is something else.
Result<nlohmann::json> speed_report(const std::filesystem::path& file);

// The report of the folder's last build; null when there was none. Errors: invalid_input when
// report.json, report.html or README.md is somebody else's, so that nothing of theirs is
// overwritten.
Result<nlohmann::json> read_last_report(const std::filesystem::path& folder);

// What differs, in words ("alpha 0.8 -> 0.5", "model.int8.onnx.data"); {"first build"} when
// previous is null, empty when nothing differs.
std::vector<std::string> changes_since(const nlohmann::json& previous,
                                       const nlohmann::json& report);

// Carries the history over and adds an entry when there are changes.
void extend_history(nlohmann::json& report, const nlohmann::json& previous,
                    const std::vector<std::string>& changes, const std::string& date,
                    const std::string& why);

}  // namespace octavo
