#pragma once
// blobs/<etag>.incomplete: the beginning of a blob. It survives the program, and becomes the blob
// when it is whole and has the right hash.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace octavo::hub {

class PartialFile {
 public:
  // Keeps what is there; empties it when it is longer than `most`. `file` is for messages. Errors:
  // io.
  static Result<PartialFile> open(const std::filesystem::path& path, const std::string& file,
                                  uint64_t most);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  uint64_t size() const { return size_; }
  Status append(std::string_view bytes);
  Status restart();
  // Onto the disk, then the hash of all of it.
  Result<std::string> sync_and_hash(HashKind kind);
  Status publish(const std::filesystem::path& place);
  void remove();

 private:
  PartialFile(int fd, std::filesystem::path path, std::string file, uint64_t size);
  Error problem(const char* what) const;
  int fd_;
  std::filesystem::path path_;
  std::string file_;
  uint64_t size_;
};

}  // namespace octavo::hub
