#pragma once
// What should not outlive the process when it is interrupted: files under temporary names, a
// build's work folder. The library only keeps the list; the program, which decides what a signal
// means, calls remove_unfinished() before it ends.

#include <filesystem>
#include <memory>
#include <mutex>

namespace octavo {

// One entry of the list, for as long as the object lives. Removes nothing itself.
class Unfinished {
 public:
  explicit Unfinished(const std::filesystem::path& path);
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished();

 private:
  std::filesystem::path path_;
};

// While it is held nothing is removed: for steps of several calls that belong together (making and
// listing a file, renaming a model after its sidecar). The same thread may hold it twice.
std::unique_lock<std::recursive_mutex> hold_unfinished();

// Whether a part of this process is at work on it.
bool is_unfinished(const std::filesystem::path& path);

// Removes everything on the list, folders with what is in them. From then on whoever wants to begin
// or finish a file waits for ever: only for a process that is about to end.
void remove_unfinished();

}  // namespace octavo
