#include "formats/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace octavo {

namespace {

// O_NONBLOCK: a FIFO without a writer must not hang us; the caller refuses what is not a regular
// file. O_NOCTTY: a terminal device must not become ours.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

Error open_error(const std::string& relative, int error) {
  switch (error) {
    case ENOENT:
      return {Code::not_found, "\"" + relative + "\" does not exist"};
    case EXDEV:
      return {Code::invalid_input, "\"" + relative + "\" leads out of the model's folder"};
    case ELOOP:
      return {Code::invalid_input,
              "\"" + relative + "\" goes through a symbolic link that is not allowed here"};
    default:
      return {Code::io, "\"" + relative + "\" cannot be opened: " + std::strerror(error)};
  }
}

Result<OpenFile> walk_by_component(const OpenFile& folder, const std::string& relative) {
  OpenFile at(::fcntl(folder.fd(), F_DUPFD_CLOEXEC, 0));
  if (at.fd() < 0) return open_error(relative, errno);
  size_t begin = 0;
  for (;;) {
    const size_t slash = relative.find('/', begin);
    const std::string part = relative.substr(begin, slash - begin);
    if (part == "..") return open_error(relative, EXDEV);
    const bool last = slash == std::string::npos;
    const int fd =
        ::openat(at.fd(), part.c_str(),
                 last ? kFlags | O_NOFOLLOW : O_PATH | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
    // With O_DIRECTORY a symlink on the way is reported as "not a directory".
    if (fd < 0) return open_error(relative, !last && errno == ENOTDIR ? ELOOP : errno);
    at = OpenFile(fd);
    if (last) return at;
    begin = slash + 1;
  }
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenFile> open_folder(const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const int fd = ::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return Error{errno == ENOENT || errno == ENOTDIR ? Code::not_found : Code::io,
                 name + ": the folder cannot be opened: " + std::strerror(errno)};
  return OpenFile(fd);
}

Result<OpenFile> open_beneath(const OpenFile& folder, const std::string& relative,
                              Symlinks symlinks, Walk walk) {
  if (relative.empty() || relative.front() == '/' || relative.find('\0') != std::string::npos)
    return open_error(relative, EXDEV);
  if (walk == Walk::by_component) return walk_by_component(folder, relative);
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (symlinks == Symlinks::none) how.resolve |= RESOLVE_NO_SYMLINKS;
  // EAGAIN: the kernel saw a rename race on ".." and asks to try again; a bound keeps an attacker
  // who renames in a loop from holding us here.
  for (int attempt = 0; attempt < 64; ++attempt) {
    const long fd = ::syscall(SYS_openat2, folder.fd(), relative.c_str(), &how, sizeof(how));
    if (fd >= 0) return OpenFile(static_cast<int>(fd));
    if (errno == EAGAIN || errno == EINTR) continue;
    // EPERM is what container sandboxes answer for system calls they do not know.
    if (errno == ENOSYS || errno == EPERM) return walk_by_component(folder, relative);
    return open_error(relative, errno);
  }
  return open_error(relative, EXDEV);
}

}  // namespace octavo
