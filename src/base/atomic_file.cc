#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/unfinished.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr int kMaxLinks = 40;  // as many as the kernel follows

// Temporaries of `place` begin so: nobody else's files look like that.
std::string temporary_prefix(const fs::path& place) {
  return "." + place.filename().string() + ".octavo.";
}

Error io_error(const fs::path& path, const char* what) {
  return {Code::io, path.string() + ": " + what + ": " + std::strerror(errno)};
}

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

}  // namespace

fs::path temporary_beside(const fs::path& place) {
  static std::atomic<uint64_t> counter{0};
  return folder_of(place) / (temporary_prefix(place) + std::to_string(::getpid()) + "." +
                             std::to_string(counter.fetch_add(1)) + ".tmp");
}

Status sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(folder, "the folder cannot be opened");
  const int failed = ::fsync(fd);
  const int saved = errno;
  ::close(fd);
  errno = saved;
  // Some file systems (overlay, FUSE) refuse fsync of a folder with EINVAL: nothing more can be
  // done.
  if (failed != 0 && errno != EINVAL) return io_error(folder, "the folder cannot be synced");
  return Done{};
}

struct AtomicFile::State {
  fs::path target;     // as the caller named it
  fs::path place;      // what that leads to
  fs::path temporary;  // empty once it has been renamed
  std::optional<Unfinished> unfinished;
  int fd = -1;  // locked while the temporary is there: whoever holds the lock is alive
  std::vector<std::byte> buffer;
  uint64_t written = 0;

  ~State() {
    if (!temporary.empty()) ::unlink(temporary.c_str());
    if (fd >= 0) ::close(fd);
  }
  // False, without errno, when a sweep took the file away before it was locked.
  bool open_temporary(const fs::path& name) {
    const auto hold = hold_unfinished();
    fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return false;
    struct stat s {};
    const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!taken && ::fstat(fd, &s) == 0 && s.st_nlink > 0) {
      temporary = name;
      unfinished.emplace(name);
      return true;
    }
    ::close(std::exchange(fd, -1));
    errno = 0;
    return false;
  }
  Status flush() {
    size_t at = 0;
    while (at < buffer.size()) {
      const ssize_t n = ::write(fd, buffer.data() + at, buffer.size() - at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return io_error(target, "cannot be written");
      at += static_cast<size_t>(n);
    }
    buffer.clear();
    return Done{};
  }
};

AtomicFile::AtomicFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
AtomicFile::AtomicFile(AtomicFile&& other) noexcept = default;
AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept = default;
AtomicFile::~AtomicFile() = default;

Result<fs::path> output_place(const fs::path& target) {
  fs::path place = target;
  std::error_code ignored;
  if (fs::is_symlink(fs::symlink_status(place, ignored))) {
    // The kernel may refuse to follow another user's link (fs.protected_symlinks); readlink() alone
    // would not ask it.
    const int fd = ::open(place.c_str(), O_PATH | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) return io_error(target, "the link cannot be followed");
    if (fd >= 0) ::close(fd);
    for (int links = 0; fs::is_symlink(fs::symlink_status(place, ignored)); ++links) {
      if (links == kMaxLinks)
        return Error{Code::invalid_input, target.string() + ": leads through too many links"};
      place = folder_of(place) / fs::read_symlink(place, ignored);
    }
  }
  const fs::path folder = folder_of(place);
  if (!fs::is_directory(folder, ignored))
    return Error{Code::not_found, target.string() + ": the folder " + folder.string() +
                                      " does not exist; create it first"};
  const fs::file_status status = fs::status(place, ignored);
  if (fs::is_directory(status))
    return Error{Code::invalid_input, target.string() + ": is a folder, not a file"};
  if (fs::exists(status) && !fs::is_regular_file(status))
    return Error{Code::invalid_input,
                 target.string() +
                     ": is a pipe or a device, which a file that appears whole would "
                     "replace; write to a regular file"};
  return place;
}

Result<AtomicFile> AtomicFile::create(const fs::path& target) {
  auto state = std::make_unique<State>();
  state->target = target;
  OCTAVO_TRY(state->place, output_place(target));
  sweep_temporaries(state->place);
  // A name may be that of a dead process whose number is ours.
  for (;;) {
    if (state->open_temporary(temporary_beside(state->place))) return AtomicFile(std::move(state));
    if (errno != 0 && errno != EEXIST) return io_error(target, "cannot be created");
  }
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  State& s = *state_;
  s.written += bytes.size();
  // Large writes go through in pieces, so that a mapped source is never copied whole.
  while (!bytes.empty()) {
    const size_t n = std::min(bytes.size(), kBufferBytes - s.buffer.size());
    s.buffer.insert(s.buffer.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
    bytes = bytes.subspan(n);
    if (s.buffer.size() == kBufferBytes) OCTAVO_CHECK(s.flush());
  }
  return Done{};
}

Status AtomicFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text.data(), text.size())));
}

Status AtomicFile::pad_to(uint64_t alignment) {
  const std::vector<std::byte> zeros((alignment - state_->written % alignment) % alignment);
  return write(zeros);
}

Status AtomicFile::rewrite(uint64_t at, std::span<const std::byte> bytes) {
  State& s = *state_;
  if (at > s.written || bytes.size() > s.written - at)
    return Error{Code::internal, s.target.string() + ": rewrite behind the end"};
  OCTAVO_CHECK(s.flush());
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(s.fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(s.target, "cannot be written");
    at += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Done{};
}

uint64_t AtomicFile::size() const { return state_->written; }
const fs::path& AtomicFile::target() const { return state_->target; }

Result<fs::path> AtomicFile::staged() {
  OCTAVO_CHECK(state_->flush());
  return state_->temporary;
}

Status AtomicFile::flush_and_sync() {
  OCTAVO_CHECK(state_->flush());
  if (::fsync(state_->fd) != 0) return io_error(state_->target, "cannot be synced");
  return Done{};
}

Status AtomicFile::publish() {
  if (::rename(state_->temporary.c_str(), state_->place.c_str()) != 0)
    return io_error(state_->target, "cannot be renamed into place");
  state_->temporary.clear();
  state_->unfinished.reset();
  ::close(std::exchange(state_->fd, -1));  // errors have shown in fsync
  return Done{};
}

Status AtomicFile::commit() {
  OCTAVO_CHECK(flush_and_sync());
  {
    const auto hold = hold_unfinished();
    OCTAVO_CHECK(publish());
  }
  return sync_folder(folder_of(state_->place));
}

Result<AtomicFile*> AtomicFiles::add(const fs::path& target) {
  OCTAVO_TRY(auto file, AtomicFile::create(target));
  files_.push_back(std::make_unique<AtomicFile>(std::move(file)));
  return files_.back().get();
}

Status AtomicFiles::commit() {
  for (auto& file : files_) OCTAVO_CHECK(file->flush_and_sync());
  {
    const auto hold = hold_unfinished();
    for (auto& file : files_) OCTAVO_CHECK(file->publish());
  }
  for (auto& file : files_) OCTAVO_CHECK(sync_folder(folder_of(file->state_->place)));
  files_.clear();
  return Done{};
}

Status write_file(const fs::path& target, std::string_view content) {
  OCTAVO_TRY(auto file, AtomicFile::create(target));
  OCTAVO_CHECK(file.write(content));
  return file.commit();
}

void sweep_temporaries(const fs::path& target) {
  const std::string prefix = temporary_prefix(target);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(target), error)) {
    const std::string name = entry.path().filename().string();
    // On network file systems locks do not tell one part of a process from another.
    if (!name.starts_with(prefix) || !name.ends_with(".tmp") || is_unfinished(entry.path()))
      continue;
    const int fd = ::open(entry.path().c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat s {};
    if (::fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && ::flock(fd, LOCK_EX | LOCK_NB) == 0)
      ::unlink(entry.path().c_str());
    ::close(fd);
  }
}

}  // namespace octavo
