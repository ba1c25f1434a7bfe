#pragma once
// Opens a file by a path that comes from an untrusted file, so that the kernel itself refuses to
// leave the folder, whatever another process does to the folder meanwhile: a check of the name
// followed by an open of the name can be raced, this cannot. Nothing is read here, and a FIFO does
// not block.

#include <filesystem>
#include <string>

#include "base/result.h"

namespace octavo {

// An open file descriptor, closed at the end of its life.
class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();
  int fd() const { return fd_; }

 private:
  int fd_;
};

Result<OpenFile> open_folder(const std::filesystem::path& folder);

enum class Symlinks {
  inside,  // followed while they stay below the folder
  none,    // any symlink on the way is an error
};

enum class Walk {
  best,          // openat2, else by component
  by_component,  // for kernels before 5.6 and sandboxes that hide openat2: no symlinks at all
};

// `relative` below the folder, read-only. Errors: not_found; invalid_input when the path leads out
// of the folder or through a forbidden symlink; io. They name `relative` only.
Result<OpenFile> open_beneath(const OpenFile& folder, const std::string& relative,
                              Symlinks symlinks, Walk walk = Walk::best);

}  // namespace octavo
