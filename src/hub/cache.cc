#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "base/atomic_file.h"
#include "formats/json.h"
#include "hub/hub_name.h"

namespace octavo::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kLockPause{200};
constexpr uint64_t kMostTree = uint64_t{64} << 20;

std::string folder_name(const std::string& repository) {
  std::string name = "models--" + repository;
  name.replace(name.find('/'), 1, "--");
  return name;
}

Error io_error(const fs::path& path, const std::string& what) {
  return {Code::io, path.string() + ": " + what + ": " + std::strerror(errno) +
                        "; the cache's place is HF_HUB_CACHE, or HF_HOME/hub"};
}

Status make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return Done{};
  errno = error.value();
  return io_error(folder, "the folder cannot be made");
}

std::string read_small(const fs::path& file, uint64_t most) {
  std::error_code error;
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > most) return "";
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

Cache::Cache(const HubSettings& settings, const HubName& name)
    : folder_(settings.cache / folder_name(name.repository)),
      locks_(settings.cache / ".locks" / folder_name(name.repository)) {}

fs::path Cache::incomplete(const std::string& etag) const {
  return folder_ / "blobs" / (etag + ".incomplete");
}

fs::path Cache::snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }

bool Cache::has(const std::string& commit, const RepositoryFile& file) const {
  std::error_code error;
  const uint64_t size = fs::file_size(snapshot(commit) / file.path, error);  // follows the link
  return !error && size == file.size;
}

bool Cache::known_absent(const std::string& commit, const std::string& file) const {
  std::error_code error;
  if (fs::exists(folder_ / ".no_exist" / commit / file, error)) return true;
  // The client's own list of the commit's files, in newer versions.
  const fs::path tree = folder_ / "trees" / (commit + ".json");
  const auto document = parse_json(read_small(tree, kMostTree), tree.string());
  if (!document || !document->is_object()) return false;
  const auto files = document->find("files");
  return files != document->end() && files->is_object() && !files->contains(file);
}

std::vector<RepositoryFile> Cache::files(const std::string& commit) const {
  std::vector<RepositoryFile> out;
  const fs::path root = snapshot(commit);
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code broken;
    if (!fs::is_regular_file(at->path(), broken)) continue;
    const uint64_t size = fs::file_size(at->path(), broken);
    if (!broken) out.push_back({at->path().lexically_relative(root).string(), size, {}});
  }
  std::sort(out.begin(), out.end(),
            [](const RepositoryFile& a, const RepositoryFile& b) { return a.path < b.path; });
  return out;
}

std::optional<std::string> Cache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  std::string text = read_small(folder_ / "refs" / revision, 256);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  if (!is_commit(text)) return std::nullopt;
  return text;
}

Status Cache::prepare() const {
  OCTAVO_CHECK(make_folders(folder_ / "blobs"));
  return make_folders(locks_);
}

Status Cache::link(const std::string& commit, const std::string& file,
                   const std::string& etag) const {
  const fs::path place = snapshot(commit) / file;
  fs::path target = "../../blobs";
  for (auto depth = std::count(file.begin(), file.end(), '/'); depth > 0; --depth)
    target = ".." / target;
  target /= etag;
  OCTAVO_CHECK(make_folders(place.parent_path()));
  std::error_code error;
  if (fs::read_symlink(place, error) == target) return Done{};
  // Beside its place, then renamed: nobody sees a moment without it.
  const fs::path beside = temporary_beside(place);
  ::unlink(beside.c_str());
  if (::symlink(target.c_str(), beside.c_str()) != 0)
    return io_error(place, "the link cannot be made");
  if (::rename(beside.c_str(), place.c_str()) != 0) {
    const int why = errno;
    ::unlink(beside.c_str());
    errno = why;
    return io_error(place, "the link cannot be made");
  }
  return sync_folder(place.parent_path());
}

Status Cache::note_absent(const std::string& commit, const std::string& file) const {
  const fs::path place = folder_ / ".no_exist" / commit / file;
  std::error_code error;
  if (fs::exists(place, error)) return Done{};
  OCTAVO_CHECK(make_folders(place.parent_path()));
  const int fd = ::open(place.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return io_error(place, "cannot be made");
  ::close(fd);
  return Done{};
}

Status Cache::set_revision(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return Done{};
  const fs::path place = folder_ / "refs" / revision;
  OCTAVO_CHECK(make_folders(place.parent_path()));
  return write_file(place, commit);
}

uint64_t Cache::free_bytes() const {
  struct statvfs info {};
  if (::statvfs(folder_.c_str(), &info) != 0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

Cache::Locks::~Locks() {
  for (const int fd : fds_) ::close(fd);  // and with it the lock
}

Result<Cache::Locks> Cache::lock(std::vector<std::string> etags,
                                 const std::function<bool()>& waiting) const {
  std::sort(etags.begin(), etags.end());
  etags.erase(std::unique(etags.begin(), etags.end()), etags.end());
  Locks locks;
  for (const std::string& etag : etags) {
    const fs::path place = locks_ / (etag + ".lock");
    for (;;) {
      const int fd = ::open(place.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
      if (fd < 0) return io_error(place, "cannot be opened");
      struct stat info {};
      const bool got = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
      const bool held = !got && errno == EWOULDBLOCK;
      // A file system without locks: two downloads may then do the same work twice, no more.
      if ((got || !held) && ::fstat(fd, &info) == 0 && info.st_nlink > 0) {
        locks.fds_.push_back(fd);
        break;
      }
      ::close(fd);  // somebody else's, or removed between opening and locking
      if (held) {
        if (!waiting()) return Error{Code::io, place.string() + ": the wait for it was given up"};
        std::this_thread::sleep_for(kLockPause);
      }
    }
  }
  return locks;
}

}  // namespace octavo::hub
