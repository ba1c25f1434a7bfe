#include "toolkit/folder_files.h"

#include <algorithm>
#include <system_error>

namespace octavo {

namespace fs = std::filesystem;

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
