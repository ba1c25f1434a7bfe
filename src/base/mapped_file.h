#pragma once
// The only mmap of the program. Maps a regular file read-only and shared; nothing is copied, and
// pages that were used can be given back (drop_pages) so that streaming over a large file keeps the
// resident set small. The size is the size at open: a file that another process cuts while mapped
// raises SIGBUS, as with every mapped reader (docs/security.md).

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "base/result.h"

namespace octavo {

class MappedFile {
 public:
  // Errors: not_found, io; invalid_input when it is not a regular file (a FIFO, device, folder).
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  // Maps an already opened descriptor, which stays the caller's. `name` is for messages.
  static Result<std::shared_ptr<const MappedFile>> map(int fd, const std::string& name);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_;
  size_t size_;
};

// Gives the whole pages inside [bytes] of a MappedFile back to the kernel; a later access reads
// them from the page cache again. Only for file-backed memory.
void drop_pages(std::span<const std::byte> bytes);

}  // namespace octavo
