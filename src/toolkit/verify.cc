#include "octavo/verify.h"

#include "toolkit/probe.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// The folder of the model file, or the one above it (onnx/model.onnx) when the tokenizer is there.
fs::path tokenizer_folder(const fs::path& onnx_file) {
  const fs::path folder = onnx_file.has_parent_path() ? onnx_file.parent_path() : ".";
  std::error_code ignored;
  if (!fs::exists(folder / "tokenizer.json", ignored) &&
      fs::exists(folder / ".." / "tokenizer.json", ignored))
    return folder / "..";
  return folder;
}

// Before anything beside it is looked for: an error about the tokenizer of a model that does not
// exist would point at the wrong thing.
Status check_argument(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return Done{};
  return Error{Code::not_found, path.string() + ": no such file or folder"};
}

}  // namespace

Result<VerifyReport> verify_model(const fs::path& model, const VerifyOptions& options,
                                  const Progress& progress) {
  OCTAVO_CHECK(check_argument(model));
  for (const fs::path& reference : {options.against, options.reference})
    if (!reference.empty()) OCTAVO_CHECK(check_argument(reference));
  VerifyOptions with_file = options;
  OCTAVO_TRY(with_file.against, reference_model(options.against));
  fs::path file = model;
  fs::path folder = options.tokenizer;
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) {
    OCTAVO_TRY(const auto described, read_model_dir(model));
    if (described.model_file.empty())
      return Error{Code::not_found, model.string() + ": has no ONNX model; name the file"};
    file = described.model_file;
    if (folder.empty()) folder = model;
  } else if (folder.empty()) {
    folder = tokenizer_folder(model);
  }
  OCTAVO_TRY(const auto probe, make_probe(folder, with_file, progress));
  return compare_with(probe, file, options.min_cos, "verify", progress);
}

}  // namespace octavo
