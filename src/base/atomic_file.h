#pragma once
// Files that appear whole or not at all: written under a temporary name in the same folder,
// fsynced, then renamed. AtomicFiles publishes several files as one step, in the order they were
// added, so a model that names a sidecar is added after it and never appears alone. Destroyed
// without commit(), or killed at any moment, it leaves what was there before untouched (a kill can
// leave a file named
// .<name>.<pid>.<n>.tmp behind; sweep_temporaries() removes those of dead processes).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

class AtomicFile {
 public:
  // Truncates nothing: the target keeps its old content until commit(). Errors: io, not_found.
  static Result<AtomicFile> create(const std::filesystem::path& target);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);  // appends; buffered
  Status write(std::string_view text);
  Status pad_to(uint64_t alignment);  // zero bytes up to a multiple
  // Replaces bytes written before: a header that holds what is known only at the end.
  Status rewrite(uint64_t at, std::span<const std::byte> bytes);
  uint64_t size() const;  // bytes written so far
  const std::filesystem::path& target() const;

  Status commit();  // flush, fsync, rename, fsync the folder

 private:
  friend class AtomicFiles;
  struct State;
  explicit AtomicFile(std::unique_ptr<State> state);
  Status flush_and_sync();
  Status publish();
  std::unique_ptr<State> state_;
};

class AtomicFiles {
 public:
  // The pointer stays valid as long as this object.
  Result<AtomicFile*> add(const std::filesystem::path& target);
  // All are fsynced before the first is renamed; renames follow the order of add().
  Status commit();

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

// One call for small files.
Status write_file(const std::filesystem::path& target, std::string_view content);

// Removes .<name>.<pid>.<n>.tmp files in `folder` whose process is gone.
void sweep_temporaries(const std::filesystem::path& folder);

}  // namespace octavo
