#pragma once
// Files that appear whole or not at all: written under a temporary name in the same folder,
// fsynced, then renamed. AtomicFiles publishes several files as one step, in the order they were
// added, so a model that names a sidecar is added after it and never appears alone. Destroyed
// without commit(), or killed at any moment, it leaves what was there before untouched. A kill can
// leave a file .<name>.octavo.<pid>.<n>.tmp behind, which the next writer of <name> removes: nobody
// holds its lock any more. A target that is a symlink stays one, and what it leads to is replaced.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

// What a write to `target` replaces: symlinks followed to their end, where there may be no file
// yet. Errors: not_found (no such folder); invalid_input when a folder, a pipe or a device is
// there.
Result<std::filesystem::path> output_place(const std::filesystem::path& target);

class AtomicFile {
 public:
  // Truncates nothing: the target keeps its old content until commit(). Errors: io and those of
  // output_place().
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

  // Where what was written so far can be looked at before commit().
  Result<std::filesystem::path> staged();
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

// A name in the folder of `place` for what will be renamed to it: no other call of this process
// gets it, and no other process but a dead one whose number is ours.
std::filesystem::path temporary_beside(const std::filesystem::path& place);

// Makes what was renamed or linked in the folder last. Errors: io.
Status sync_folder(const std::filesystem::path& folder);

// Removes what dead writers of that very file left beside it. create() does so, too.
void sweep_temporaries(const std::filesystem::path& target);

}  // namespace octavo
