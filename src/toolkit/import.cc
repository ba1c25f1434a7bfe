#include "octavo/import.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/atomic_file.h"
#include "base/result.h"
#include "formats/onnx.h"
#include "graph/constants.h"
#include "graph/inline.h"
#include "octavo/version.h"
#include "toolkit/architectures/architectures.h"
#include "toolkit/folder_files.h"
#include "toolkit/model_marks.h"
#include "toolkit/snapshot.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;

struct Written {
  Model model;
  ImportReport report;
};

Result<Written> write_graph(const Snapshot& snapshot, bool functions) {
  OCTAVO_TRY(const auto architecture, architectures::find(snapshot.config));
  architectures::Checkpoint weights(snapshot.weights);
  Written w;
  OCTAVO_TRY(w.model, architecture.write(snapshot.config, weights).within(architecture.name));
  w.model.producer_name = kProducer;
  w.model.producer_version = kVersion;
  w.model.metadata = {{"octavo.architecture", architecture.name}};
  if (!functions) {
    OCTAVO_CHECK(inline_functions(w.model));
    hoist_constants(w.model.graph);
  }
  OCTAVO_CHECK(check(w.model));
  w.report.architecture = architecture.name;
  w.report.parameters = weights.parameters();
  w.report.unused_weights = weights.unused();
  return w;
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return Error{Code::io, "cannot create folder " + folder.string() + ": " + error.message()};
  return Done{};
}

// A model.onnx of another program is somebody's, and gone after the write: many snapshots carry
// one. A smoothed one took minutes.
Status check_not_foreign(const fs::path& file) {
  std::error_code none;
  if (!fs::exists(file, none)) return Done{};
  const auto found = read_onnx(file);
  if (!found)
    return Error{found.error().code, found.error().message +
                                         "; it would be replaced: remove it, or choose another "
                                         "folder"};
  const bool smoothed = std::any_of(found->metadata.begin(), found->metadata.end(),
                                    [](const auto& entry) { return entry.first == kSmoothedKey; });
  if (found->producer_name == kProducer && !smoothed) return Done{};
  return Error{Code::invalid_input,
               file.string() + (smoothed ? ": is a smoothed model" : ": was not made by octavo") +
                   "; it would be replaced: remove it, or choose another folder"};
}

}  // namespace

Result<ImportReport> import_model(const fs::path& source, const fs::path& output,
                                  const ImportOptions& options, const Progress& progress) {
  if (options.model_name.empty() || fs::path(options.model_name).filename() != options.model_name)
    return Error{Code::invalid_input,
                 "the model's name \"" + options.model_name + "\" is no plain file name"};
  OCTAVO_TRY(const Snapshot snapshot, open_snapshot(source));
  // Everything that can be wrong with the snapshot shows before the first file is written.
  OCTAVO_TRY(Written written, write_graph(snapshot, options.functions).within(source.string()));

  std::vector<std::string> names;
  for (const auto& [name, content] : snapshot.files) names.push_back(name);
  OCTAVO_CHECK(check_nothing_left(output, left_over(output, snapshot_file_names(), names)));
  OCTAVO_CHECK(
      check_models_keep_files(output, {{options.model_name}, names, {}, [&](const auto& name) {
                                         return holds(output / name, snapshot.files.at(name));
                                       }}));
  OCTAVO_CHECK(check_not_foreign(output / options.model_name));
  OCTAVO_CHECK(make_folder(output));
  for (const auto& [name, content] : snapshot.files) {
    OCTAVO_CHECK(make_folder((output / name).parent_path()));
    OCTAVO_CHECK(write_file(output / name, content));
    written.report.files.push_back(name);
  }
  OnnxWriteOptions write;
  write.external_data = true;
  OCTAVO_CHECK(write_onnx(written.model, output / options.model_name, write, progress));
  written.report.files.push_back(options.model_name + ".data");
  written.report.files.push_back(options.model_name);
  return std::move(written.report);
}

}  // namespace octavo
