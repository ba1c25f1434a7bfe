#pragma once
// The bytes a reader works on and what holds them alive: a mapped file, or a copy in memory (for
// fuzzing: a heap block ends where the input ends, a mapping at the end of its page).

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"

namespace octavo {

struct FileBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> keeper;
  bool mapped = false;  // pages may be given back

  static Result<FileBytes> open(const std::filesystem::path& path) {
    OCTAVO_TRY(auto file, MappedFile::open(path));
    const auto bytes = file->bytes();
    return FileBytes{bytes, std::move(file), true};
  }
  static FileBytes copy_of(std::span<const std::byte> bytes) {
    auto copy = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
    const std::span<const std::byte> all(*copy);
    return {all, std::move(copy), false};
  }

  // The same file, looked at in part. Precondition: the part is inside.
  FileBytes part(size_t offset, size_t size) const {
    return {bytes.subspan(offset, size), keeper, mapped};
  }
  void drop() const {
    if (mapped) drop_pages(bytes);
  }
};

}  // namespace octavo
