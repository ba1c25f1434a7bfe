#include "formats/onnx_target.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "formats/external_data.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// One file, by device and inode: however it is named, through links of either kind.
bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// Whether writing `file` replaces `input`: with hard links the other name would keep its content,
// and still need its sidecar.
bool replaces(const fs::path& file, const fs::path& input) {
  if (!same_file(file, input)) return false;
  std::error_code error;
  const fs::path a = fs::canonical(file, error);
  const fs::path b = fs::canonical(input, error);
  return a == b || fs::hard_link_count(file, error) == 1;
}

bool is_sidecar(const fs::path& target, const OnnxWriteOptions& options) {
  return std::any_of(options.sources.begin() + 1, options.sources.end(),
                     [&](const fs::path& source) { return same_file(target, source); });
}

}  // namespace

Result<fs::path> sidecar_path(const fs::path& file, const OnnxWriteOptions& options) {
  const std::string own = file.filename().string();
  const std::string location = options.location.empty() ? own + ".data" : options.location;
  OCTAVO_TRY(const std::string clean, clean_location(location));
  if (clean != location || location.find('/') != std::string::npos || location == own)
    return Error{Code::invalid_input, "\"" + location +
                                          "\" cannot be the sidecar's name: it must be a plain "
                                          "file name, and not the model's"};
  return (file.has_parent_path() ? file.parent_path() : fs::path(".")) / location;
}

Status check_replaceable(const fs::path& target, const fs::path& file,
                         const OnnxWriteOptions& options) {
  if (options.sources.empty() || replaces(file, options.sources[0])) return Done{};
  const fs::path& input = options.sources[0];
  if (target != file && same_file(target, input))
    return Error{Code::invalid_input, target.string() +
                                          ": is the model that is read, and would "
                                          "become the sidecar of " +
                                          file.string() + "; choose another output"};
  if (is_sidecar(target, options))
    return Error{Code::invalid_input, target.string() + ": holds the weights of " + input.string() +
                                          ", which would be lost; choose another output"};
  return Done{};
}

std::optional<fs::path> left_over_sidecar(const fs::path& file, const OnnxWriteOptions& options) {
  const auto path = sidecar_path(file, options);
  std::error_code error;
  if (!path || !fs::is_regular_file(*path, error) || !fs::is_regular_file(file, error))
    return std::nullopt;
  if (!options.sources.empty() && is_sidecar(*path, options)) {
    if (replaces(file, options.sources[0])) return *path;
    return std::nullopt;
  }
  const auto old = open_onnx(file);
  if (!old) return std::nullopt;
  for (const OnnxSidecar& sidecar : old->sidecars)
    if (same_file(sidecar.path, *path)) return *path;
  return std::nullopt;
}

}  // namespace octavo
