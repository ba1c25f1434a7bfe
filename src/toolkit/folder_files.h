#pragma once
// The files beside the models of an output folder. Whoever opens the folder believes what lies
// there (1_Pooling/config.json decides the pooling), so a file of another model must not stay
// beside a new one.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

// Those of `known` that are in the folder but not among `made`.
std::vector<std::string> left_over(const std::filesystem::path& folder,
                                   const std::vector<std::string>& known,
                                   const std::vector<std::string>& made);

// Errors: invalid_input naming them, when there are any.
Status check_nothing_left(const std::filesystem::path& folder,
                          const std::vector<std::string>& left);

// What an ONNX model reads beside it stays as it is.
struct FolderChange {
  std::vector<std::string> models;   // that are replaced or made
  std::vector<std::string> written;  // files beside them, "1_Pooling/config.json"
  std::vector<std::string> removed;
  // Whether a file of `written` that is there already has the new content.
  std::function<bool(const std::string& name)> same;
};

// Errors: invalid_input when the folder, or onnx/ in it, holds other models and what they read
// would change; naming them and the file. Where no tokenizer.json is, there is nothing yet that
// they could read, and files may come.
Status check_models_keep_files(const std::filesystem::path& folder, const FolderChange& change);

// Of regular files.
bool same_content(const std::filesystem::path& a, const std::filesystem::path& b);
bool holds(const std::filesystem::path& file, std::string_view content);

// And the folders inside `folder` that this empties. Errors: io.
Status remove_files(const std::filesystem::path& folder, const std::vector<std::string>& names);

}  // namespace octavo
