#include "formats/external_data.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

#include "formats/open_beneath.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

Result<uint64_t> decimal(const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || text.empty())
    return Error{Code::invalid_input,
                 "external_data " + key + " \"" + text + "\" is not a number of bytes"};
  return value;
}

// In a Hugging Face cache, <repo>/snapshots/<revision>/[folder/...]<file> is a symlink to
// ../../[../...]blobs/<hash>: it leaves the snapshot's folder, but not the repository's.
struct CacheLayout {
  fs::path repository;
  size_t depth;     // folders between the repository and the file
  fs::path inside;  // the model's folder, relative to the repository
};

std::optional<CacheLayout> cache_layout(const fs::path& folder) {
  std::error_code error;
  const fs::path absolute = fs::absolute(folder, error).lexically_normal();
  if (error) return std::nullopt;
  // The last "snapshots" that has a folder below it and "blobs" beside it.
  std::vector<std::string> parts;
  for (const auto& part : absolute) {
    if (!part.empty()) parts.push_back(part.string());
  }
  for (size_t i = parts.size(); i-- > 1;) {
    if (parts[i] != "snapshots" || i + 1 >= parts.size()) continue;
    fs::path repository;
    for (size_t k = 0; k < i; ++k) repository /= parts[k];
    if (!fs::is_directory(repository / "blobs", error)) continue;
    fs::path inside;
    for (size_t k = i; k < parts.size(); ++k) inside /= parts[k];
    return CacheLayout{repository, parts.size() - i, inside};
  }
  return std::nullopt;
}

// The text of a link; "" when it is none, or too long.
std::string link_text(const OpenFile& folder, const std::string& link) {
  std::array<char, 4096> target{};
  const ssize_t n = ::readlinkat(folder.fd(), link.c_str(), target.data(), target.size());
  if (n < 0 || static_cast<size_t>(n) == target.size()) return "";
  return {target.data(), static_cast<size_t>(n)};
}

// Newer Python clients keep what several repositories share once for the whole cache: then
// blobs/<hash> is itself a link, literally "../../blobs/ab/<64 hex digits that begin with ab>".
Result<OpenFile> open_blob(const CacheLayout& cache, const OpenFile& repository,
                           const std::string& name) {
  auto file = open_beneath(repository, "blobs/" + name, Symlinks::none);
  if (file) return file;
  constexpr std::string_view kUp = "../../blobs/";
  const std::string text = link_text(repository, "blobs/" + name);
  if (!text.starts_with(kUp)) return file;
  const std::string shared = text.substr(kUp.size());
  const bool named_by_hash = shared.size() == 3 + 64 && shared[2] == '/' &&
                             shared.compare(3, 2, shared, 0, 2) == 0 &&
                             shared.find_first_not_of("0123456789abcdef", 3) == std::string::npos;
  if (!named_by_hash) return file;
  OCTAVO_TRY(const OpenFile whole, open_folder(cache.repository.parent_path()));
  return open_beneath(whole, "blobs/" + shared, Symlinks::none);
}

// The target must be, literally, "../" out of every folder and then "blobs/<name>". The name comes
// from one readlink and is then opened below the repository without following anything, so
// swapping the link afterwards changes nothing.
Result<OpenFile> open_in_cache(const CacheLayout& cache, const std::string& location) {
  OCTAVO_TRY(const OpenFile repository, open_folder(cache.repository));
  const std::string link = (cache.inside / location).string();
  const std::string text = link_text(repository, link);
  if (text.empty())
    return Error{Code::invalid_input, "\"" + location + "\" leads out of the model's folder"};
  size_t depth = cache.depth;
  for (const char c : location) depth += c == '/' ? 1 : 0;
  std::string up;
  for (size_t i = 0; i < depth; ++i) up += "../";
  const std::string expected = up + "blobs/";
  const std::string name = text.starts_with(expected) ? text.substr(expected.size()) : "";
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    return Error{Code::invalid_input,
                 "\"" + location + "\" leads out of the model's folder, to \"" + text + "\""};
  return open_blob(cache, repository, name);
}

}  // namespace

Result<ExternalLocation> parse_external_location(
    const std::vector<std::pair<std::string, std::string>>& entries) {
  ExternalLocation out;
  std::set<std::string> seen;
  for (const auto& [key, value] : entries) {
    if (!seen.insert(key).second)
      return Error{Code::invalid_input, "external_data has the key \"" + key + "\" twice"};
    if (key == "location") {
      out.location = value;
    } else if (key == "offset") {
      OCTAVO_TRY(out.offset, decimal(key, value));
    } else if (key == "length") {
      OCTAVO_TRY(out.length, decimal(key, value));
    } else if (key != "checksum" && key != "basepath") {
      // An allow list: other readers were led into setting arbitrary fields (CVE-2026-34445).
      // checksum is not verified, basepath (a folder on the machine of whoever wrote the file) is
      // never followed.
      return Error{Code::invalid_input, "external_data has the unknown key \"" + key + "\""};
    }
  }
  if (!seen.contains("location"))
    return Error{Code::invalid_input, "external_data names no location"};
  return out;
}

Result<std::string> clean_location(const std::string& location) {
  const auto refuse = [&](const char* why) {
    return Error{Code::invalid_input, "external data location \"" + location + "\" " + why};
  };
  if (location.find('\0') != std::string::npos)
    return Error{Code::invalid_input, "external data location contains a NUL byte"};
  if (location.empty()) return refuse("is empty");
  if (location.size() > 4000)
    return Error{Code::invalid_input, "external data location is too long"};
  if (location.starts_with("*/") || location.find("_ORT_MEM_ADDR_") != std::string::npos)
    return refuse("is an address in the memory of the program that wrote the file, not a file");
  if (location.front() == '/') return refuse("is absolute; it must stay in the model's folder");
  if (location.find('\\') != std::string::npos) return refuse("contains a backslash");
  if (location.size() > 1 && location[1] == ':') return refuse("begins with a drive letter");
  std::string clean;
  size_t begin = 0;
  while (begin <= location.size()) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string part = location.substr(begin, end - begin);
    if (part == "..") return refuse("contains \"..\"; it must stay in the model's folder");
    if (!part.empty() && part != ".") clean += (clean.empty() ? "" : "/") + part;
    begin = end + 1;
  }
  if (clean.empty() || location.back() == '/') return refuse("is a folder, not a file");
  return clean;
}

ExternalData ExternalData::of_model(const fs::path& model, const ExternalDataOptions& options) {
  ExternalData out = in_folder(model.has_parent_path() ? model.parent_path() : ".", options);
  std::error_code error;
  if (fs::is_symlink(model, error)) {
    const fs::path real = fs::canonical(model, error);
    if (!error) out.folders_.push_back(real.parent_path());
  }
  return out;
}

ExternalData ExternalData::in_folder(const fs::path& folder, const ExternalDataOptions& options) {
  ExternalData out;
  out.options_ = options;
  if (!folder.empty()) out.folders_.push_back(folder);
  return out;
}

Result<ExternalData::Sidecar*> ExternalData::map(const std::string& location) {
  OCTAVO_TRY(const std::string clean, clean_location(location));
  if (const auto it = sidecars_.find(clean); it != sidecars_.end()) return &it->second;
  const Walk walk = options_.by_component ? Walk::by_component : Walk::best;
  Error first{Code::not_found,
              "external data \"" + location + "\" cannot be looked up: no folder is known"};
  for (size_t i = 0; i < folders_.size(); ++i) {
    OCTAVO_TRY(const OpenFile folder, open_folder(folders_[i]));
    Result<OpenFile> opened = open_beneath(folder, clean, Symlinks::inside, walk);
    if (!opened && opened.error().code == Code::invalid_input) {
      if (const auto cache = cache_layout(folders_[i])) opened = open_in_cache(*cache, clean);
    }
    const fs::path name = folders_[i] / clean;
    if (!opened) {
      if (i == 0) {
        first = std::move(opened).error().within("external data");
        if (first.code == Code::not_found)
          first.message += " (looked for " + name.string() +
                           "; copy the sidecar beside the model, under this very name)";
      }
      continue;
    }
    struct stat info {};
    if (options_.strict && ::fstat(opened->fd(), &info) == 0 && info.st_nlink > 1)
      return Error{Code::invalid_input, name.string() +
                                            ": has more than one hard link, which strict mode "
                                            "refuses (it may be a file from elsewhere)"};
    OCTAVO_TRY(auto file, MappedFile::map(opened->fd(), name.string()));
    return &sidecars_.emplace(clean, Sidecar{name, std::move(file), {}}).first->second;
  }
  return first;
}

Result<ExternalData::Slice> ExternalData::slice(const ExternalLocation& where, uint64_t needed) {
  OCTAVO_TRY(Sidecar * sidecar, map(where.location));
  const std::string place = "external data \"" + where.location + "\"";
  if (where.length && *where.length != needed)
    return Error{Code::invalid_input, place + ": length " + std::to_string(*where.length) +
                                          " does not fit the tensor, which takes " +
                                          std::to_string(needed) + " bytes"};
  const uint64_t size = sidecar->file->bytes().size();
  // offset + needed could wrap, size - offset cannot (CWE-190).
  if (where.offset > size || needed > size - where.offset)
    return Error{Code::invalid_input,
                 place + ": the tensor lies at byte " + std::to_string(where.offset) + ", " +
                     std::to_string(needed) + " bytes long, but the file has only " +
                     std::to_string(size) + " bytes (cut short, or of another model?)"};
  sidecar->slices.emplace_back(where.offset, where.offset + needed);
  return Slice{sidecar->file->bytes().subspan(where.offset, needed), sidecar->file};
}

std::vector<ExternalData::Use> ExternalData::uses() const {
  std::vector<Use> out;
  for (const auto& [clean, sidecar] : sidecars_) {
    Use use{sidecar.path, sidecar.file->bytes().size(), 0, sidecar.slices.size()};
    auto slices = sidecar.slices;
    std::sort(slices.begin(), slices.end());
    uint64_t reached = 0;
    for (const auto& [begin, end] : slices) {
      if (end > reached) use.used += end - std::max(begin, reached);
      reached = std::max(reached, end);
    }
    out.push_back(std::move(use));
  }
  return out;
}

Result<ExternalData::Slice> ExternalData::slice_of_given_length(const ExternalLocation& where) {
  if (!where.length)
    return Error{Code::invalid_input, "external data \"" + where.location + "\": no length given"};
  return slice(where, *where.length);
}

}  // namespace octavo
