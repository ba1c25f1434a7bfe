#include "base/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

namespace octavo {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

Error io_error(const fs::path& path, const char* what) {
  return {Code::io, path.string() + ": " + what + ": " + std::strerror(errno)};
}

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
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

}  // namespace

struct AtomicFile::State {
  fs::path target;
  fs::path temporary;
  int fd = -1;
  std::vector<std::byte> buffer;
  uint64_t written = 0;

  ~State() {
    if (fd >= 0) ::close(fd);
    if (!temporary.empty()) ::unlink(temporary.c_str());
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

Result<AtomicFile> AtomicFile::create(const fs::path& target) {
  static std::atomic<uint64_t> counter{0};
  auto state = std::make_unique<State>();
  state->target = target;
  const fs::path folder = folder_of(target);
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    return Error{Code::not_found, target.string() + ": the folder " + folder.string() +
                                      " does not exist; create it first"};
  if (fs::is_directory(target, ignored))
    return Error{Code::invalid_input, target.string() + ": is a folder, not a file"};
  const fs::path temporary =
      folder / ("." + target.filename().string() + "." + std::to_string(::getpid()) + "." +
                std::to_string(counter.fetch_add(1)) + ".tmp");
  state->fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (state->fd < 0) return io_error(target, "cannot be created");
  state->temporary = temporary;
  return AtomicFile(std::move(state));
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

Status AtomicFile::flush_and_sync() {
  OCTAVO_CHECK(state_->flush());
  if (::fsync(state_->fd) != 0) return io_error(state_->target, "cannot be synced");
  const int fd = std::exchange(state_->fd, -1);
  if (::close(fd) != 0) return io_error(state_->target, "cannot be closed");
  return Done{};
}

Status AtomicFile::publish() {
  if (::rename(state_->temporary.c_str(), state_->target.c_str()) != 0)
    return io_error(state_->target, "cannot be renamed into place");
  state_->temporary.clear();
  return Done{};
}

Status AtomicFile::commit() {
  OCTAVO_CHECK(flush_and_sync());
  OCTAVO_CHECK(publish());
  return sync_folder(folder_of(state_->target));
}

Result<AtomicFile*> AtomicFiles::add(const fs::path& target) {
  OCTAVO_TRY(auto file, AtomicFile::create(target));
  files_.push_back(std::make_unique<AtomicFile>(std::move(file)));
  return files_.back().get();
}

Status AtomicFiles::commit() {
  for (auto& file : files_) OCTAVO_CHECK(file->flush_and_sync());
  for (auto& file : files_) OCTAVO_CHECK(file->publish());
  for (auto& file : files_) OCTAVO_CHECK(sync_folder(folder_of(file->target())));
  files_.clear();
  return Done{};
}

Status write_file(const fs::path& target, std::string_view content) {
  OCTAVO_TRY(auto file, AtomicFile::create(target));
  OCTAVO_CHECK(file.write(content));
  return file.commit();
}

void sweep_temporaries(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".") || !name.ends_with(".tmp")) continue;
    const std::string stem = name.substr(0, name.size() - 4);  // .<name>.<pid>.<n>
    const size_t n_dot = stem.rfind('.');
    if (n_dot == 0 || n_dot == std::string::npos) continue;
    const size_t pid_dot = stem.rfind('.', n_dot - 1);
    if (pid_dot == 0 || pid_dot == std::string::npos) continue;
    pid_t pid = 0;
    const char* end = stem.data() + n_dot;
    const auto parsed = std::from_chars(stem.data() + pid_dot + 1, end, pid);
    if (parsed.ec != std::errc{} || parsed.ptr != end || pid <= 0) continue;
    if (::kill(pid, 0) != 0 && errno == ESRCH) fs::remove(entry.path(), error);
  }
}

}  // namespace octavo
