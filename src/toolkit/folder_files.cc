#include "toolkit/folder_files.h"

#include <algorithm>
#include <system_error>

#include "base/mapped_file.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// "model.onnx", "onnx/model.onnx", in the order of their names.
std::vector<std::string> models_in(const fs::path& folder) {
  std::vector<std::string> found;
  for (const std::string& place : {std::string(), std::string("onnx/")}) {
    std::error_code error;
    for (fs::directory_iterator at(folder / place, error), end; !error && at != end;
         at.increment(error)) {
      std::error_code none;
      if (at->path().extension() == ".onnx" && at->is_regular_file(none))
        found.push_back(place + at->path().filename().string());
    }
  }
  std::ranges::sort(found);
  return found;
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

bool holds(const fs::path& file, std::string_view content) {
  const auto mapped = MappedFile::open(file);
  return mapped && text_of(**mapped) == content;
}

bool same_content(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(b, error)) ||
      fs::file_size(a, error) != fs::file_size(b, error) || error)
    return false;
  const auto left = MappedFile::open(a);
  return left && holds(b, text_of(**left));
}

std::vector<std::string> left_over(const fs::path& folder, const std::vector<std::string>& known,
                                   const std::vector<std::string>& made) {
  std::vector<std::string> out;
  for (const std::string& name : known) {
    std::error_code error;
    if (std::find(made.begin(), made.end(), name) == made.end() &&
        fs::exists(fs::symlink_status(folder / name, error)))
      out.push_back(name);
  }
  return out;
}

Status check_nothing_left(const fs::path& folder, const std::vector<std::string>& left) {
  if (left.empty()) return Done{};
  std::string names;
  for (const std::string& name : left) names += (names.empty() ? "" : ", ") + name;
  return Error{Code::invalid_input, folder.string() +
                                        ": holds files of another model, which would be taken for "
                                        "this one's: " +
                                        names + "; remove them or choose another output folder"};
}

Status check_models_keep_files(const fs::path& folder, const FolderChange& change) {
  std::string others;
  for (const std::string& model : models_in(folder))
    if (std::ranges::find(change.models, model) == change.models.end())
      others += (others.empty() ? "" : ", ") + model;
  std::error_code error;
  if (others.empty() || !fs::exists(folder / "tokenizer.json", error)) return Done{};
  const auto refuse = [&](const std::string& name, const char* what) {
    return Error{Code::invalid_input,
                 (folder / name).string() + ": " + what + ", which would change what " + others +
                     " in this folder gives; choose another folder, or remove what is not needed"};
  };
  for (const std::string& name : change.written) {
    if (!fs::exists(folder / name, error)) return refuse(name, "would be added");
    if (!change.same(name)) return refuse(name, "differs from the one of the new model");
  }
  if (!change.removed.empty()) return refuse(change.removed.front(), "would be removed");
  return Done{};
}

Status remove_files(const fs::path& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::error_code error;
    fs::remove(folder / name, error);
    if (error)
      return Error{Code::io, (folder / name).string() + ": cannot be removed: " + error.message()};
    const fs::path parent = fs::path(name).parent_path();
    if (!parent.empty() && fs::is_empty(folder / parent, error)) fs::remove(folder / parent, error);
  }
  return Done{};
}

}  // namespace octavo
