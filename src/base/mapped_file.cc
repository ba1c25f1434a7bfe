#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace octavo {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused below as not regular.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::not_found : Code::io;
    return Error{code, path.string() + ": cannot be opened: " + std::strerror(errno)};
  }
  auto mapped = map(fd, path.string());
  ::close(fd);
  return mapped;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::map(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    return Error{Code::io, name + ": cannot be examined: " + std::strerror(errno)};
  if (S_ISDIR(info.st_mode))
    return Error{Code::invalid_input, name + ": is a folder; give the file in it"};
  if (!S_ISREG(info.st_mode)) return Error{Code::invalid_input, name + ": is not a regular file"};
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(nullptr, 0));
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return Error{Code::io, name + ": cannot be mapped: " + std::strerror(errno)};
  return std::shared_ptr<const MappedFile>(
      new MappedFile(static_cast<const std::byte*>(data), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void drop_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto last = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace octavo
