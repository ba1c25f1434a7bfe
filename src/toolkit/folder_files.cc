#include "toolkit/folder_files.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "base/mapped_file.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// The first by name, so that the message does not depend on the folder's order.
std::optional<std::string> model_beside(const fs::path& folder,
                                        const std::vector<std::string>& own) {
  std::optional<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (at->path().extension() != ".onnx" || std::ranges::find(own, name) != own.end()) continue;
    if (!found || name < *found) found = name;
  }
  return found;
}

bool holds(const fs::path& file, std::string_view content) {
  const auto mapped = MappedFile::open(file);
  if (!mapped) return false;
  const auto bytes = (*mapped)->bytes();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == content;
}

}  // namespace

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

Status check_models_keep_files(const fs::path& folder, const std::vector<std::string>& own,
                               const std::map<std::string, std::string>& made) {
  const std::optional<std::string> model = model_beside(folder, own);
  if (!model) return Done{};
  for (const auto& [name, content] : made) {
    std::error_code error;
    if (!fs::exists(folder / name, error) || holds(folder / name, content)) continue;
    return Error{Code::invalid_input,
                 (folder / name).string() + ": differs from the one of the new model, and " +
                     *model + " beside it reads it; choose another folder, or remove " + *model};
  }
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
