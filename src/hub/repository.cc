#include "hub/repository.h"

#include <algorithm>
#include <utility>

#include "formats/json.h"
#include "hub/hub_name.h"

namespace octavo::hub {

namespace {

constexpr int kMostPages = 1000;
constexpr size_t kMostFiles = 1'000'000;
constexpr int64_t kMostBytes = int64_t{1} << 50;

Error unexpected(const std::string& where, const std::string& what) {
  return {Code::invalid_input,
          where + ": " + what + "; this is not the answer of a hub, check HF_ENDPOINT"};
}

}  // namespace

Status read_tree(const std::string& body, const std::string& where,
                 std::vector<RepositoryFile>& files) {
  OCTAVO_TRY(const nlohmann::json page, parse_json(body, where));
  if (!page.is_array()) return unexpected(where, "is not a list of files");
  for (const nlohmann::json& entry : page) {
    if (!entry.is_object()) return unexpected(where, "lists something that is not a file");
    if (json_string(entry, "type", "") != "file") continue;
    RepositoryFile file;
    file.path = json_string(entry, "path", "");
    // Git holds no such names: whoever sends one wants to write outside the cache.
    if (!is_safe_path(file.path))
      return Error{Code::invalid_input, where + ": lists a file " + quote(file.path) +
                                            ", whose name leads out of the folder; nothing is "
                                            "taken from there"};
    const auto lfs = entry.find("lfs");
    const bool large = lfs != entry.end() && lfs->is_object();
    const int64_t size = json_int(large && lfs->contains("size") ? *lfs : entry, "size", -1);
    if (size < 0 || size > kMostBytes) return unexpected(where, quote(file.path) + " has no size");
    file.size = static_cast<uint64_t>(size);
    const std::string sha = json_string(large ? *lfs : entry, "oid", "");
    if (large && is_hex(sha, 64)) file.hash = Hash{HashKind::sha256, sha};
    if (!large && is_hex(sha, 40)) file.hash = Hash{HashKind::git_blob, sha};
    files.push_back(std::move(file));
    if (files.size() > kMostFiles) return unexpected(where, "lists too many files");
  }
  return Done{};
}

Result<std::string> Repository::commit() {
  if (is_commit(name_.revision)) return name_.revision;
  const std::string url = api() + "/revision/" + url_encoded(name_.revision, false);
  OCTAVO_TRY(const Client::Page page, client_.document(url));
  OCTAVO_TRY(const nlohmann::json about, parse_json(page.body, shown(url)));
  const std::string sha = json_string(about, "sha", "");
  if (!is_commit(sha)) return unexpected(shown(url), "tells no commit");
  return sha;
}

Result<std::vector<RepositoryFile>> Repository::files(const std::string& commit) {
  std::vector<RepositoryFile> files;
  std::string url = api() + "/tree/" + commit + "?recursive=true";
  for (int page = 0; !url.empty(); ++page) {
    if (page == kMostPages) return unexpected(shown(url), "has no last page");
    OCTAVO_TRY(const Client::Page got, client_.document(url));
    OCTAVO_CHECK(read_tree(got.body, shown(url), files));
    if (!got.next.empty() && !same_origin(got.next, settings_.endpoint))
      return unexpected(shown(url), "goes on at " + shown(got.next));
    url = got.next;
  }
  std::sort(files.begin(), files.end(),
            [](const RepositoryFile& a, const RepositoryFile& b) { return a.path < b.path; });
  const auto same = std::adjacent_find(
      files.begin(), files.end(),
      [](const RepositoryFile& a, const RepositoryFile& b) { return a.path == b.path; });
  if (same != files.end()) return unexpected(shown(api()), quote(same->path) + " is listed twice");
  return files;
}

std::string Repository::file_url(const std::string& commit, const std::string& path) const {
  return settings_.endpoint + "/" + name_.repository + "/resolve/" + commit + "/" +
         url_encoded(path, true);
}

}  // namespace octavo::hub
