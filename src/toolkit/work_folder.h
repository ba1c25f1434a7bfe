#pragma once
// A folder inside the output folder where a build keeps what nobody else should see, and from which
// finished files are moved into place: renamed, so each appears whole. Only one build may work in
// an output folder at a time. Removed when the object goes; what a killed build left behind is
// removed by the next one.

#include <filesystem>
#include <memory>

#include "base/result.h"

namespace octavo {

class WorkFolder {
 public:
  // Creates `output` if need be. Errors: io; invalid_input when another build works there.
  static Result<WorkFolder> create(const std::filesystem::path& output);
  WorkFolder(WorkFolder&&) noexcept;
  WorkFolder& operator=(WorkFolder&&) noexcept;
  ~WorkFolder();

  const std::filesystem::path& path() const;

  // Moves a file (name relative to both folders) into the output folder. One that is already there
  // with the same content stays as it is. Gone from here afterwards either way.
  Status publish(const std::filesystem::path& name);

 private:
  struct State;
  explicit WorkFolder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
