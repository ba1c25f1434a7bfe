#include "hub/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/atomic_file.h"

namespace octavo::hub {

Error PartialFile::problem(const char* what) const {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return {Code::io, file_ + ": " + path_.string() + " " + what + ": " + std::strerror(errno) +
                        (full ? "; free some space, or set HF_HUB_CACHE to a folder on another "
                                "disk; the beginning that has arrived is kept"
                              : "")};
}

PartialFile::PartialFile(int fd, std::filesystem::path path, std::string file, uint64_t size)
    : fd_(fd), path_(std::move(path)), file_(std::move(file)), size_(size) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      size_(other.size_) {}

PartialFile::~PartialFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<PartialFile> PartialFile::open(const std::filesystem::path& path, const std::string& file,
                                      uint64_t most) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  PartialFile out(fd, path, file, 0);
  if (fd < 0) return out.problem("cannot be opened");
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return Error{Code::io, path.string() + ": is not a regular file"};
  out.size_ = static_cast<uint64_t>(info.st_size);
  if (out.size_ > most) OCTAVO_CHECK(out.restart());
  return out;
}

Status PartialFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return problem("cannot be written");
    size_ += static_cast<uint64_t>(n);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Done{};
}

Status PartialFile::restart() {
  if (::ftruncate(fd_, 0) != 0) return problem("cannot be emptied");
  size_ = 0;
  return Done{};
}

Result<std::string> PartialFile::sync_and_hash(HashKind kind) {
  if (::fsync(fd_) != 0) return problem("cannot be synced");
  return hash_of_file(path_, kind);
}

Status PartialFile::publish(const std::filesystem::path& place) {
  if (::rename(path_.c_str(), place.c_str()) != 0) return problem("cannot be renamed");
  return sync_folder(place.parent_path());
}

void PartialFile::remove() { ::unlink(path_.c_str()); }

}  // namespace octavo::hub
