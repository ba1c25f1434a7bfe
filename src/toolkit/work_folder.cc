#include "toolkit/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unfinished.h"
#include "toolkit/folder_files.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = ".octavo-build.";

Error io_error(const fs::path& path, const std::string& what, int number) {
  return {Code::io, path.string() + ": " + what + ": " + std::strerror(number)};
}

// Work folders of builds that were killed: we hold the lock, so any other is dead.
void sweep(const fs::path& output) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output, error)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with(kPrefix))
      fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

struct WorkFolder::State {
  fs::path output;
  fs::path work;
  std::optional<Unfinished> unfinished;
  std::vector<fs::path> made;  // folders that were not there, the innermost first
  int lock = -1;

  ~State() {
    std::error_code ignored;
    if (!work.empty()) fs::remove_all(work, ignored);
    // A build that failed leaves no empty folders behind: rmdir takes only those.
    for (const fs::path& folder : made) ::rmdir(folder.c_str());
    if (lock >= 0) ::close(lock);
  }
};

WorkFolder::WorkFolder(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkFolder::WorkFolder(WorkFolder&&) noexcept = default;
WorkFolder& WorkFolder::operator=(WorkFolder&&) noexcept = default;
WorkFolder::~WorkFolder() = default;

const fs::path& WorkFolder::path() const { return state_->work; }

Result<WorkFolder> WorkFolder::create(const fs::path& output) {
  auto state = std::make_unique<State>();
  state->output = output;
  std::error_code error;
  for (fs::path folder = output.has_filename() ? output : output.parent_path();
       !folder.empty() && !fs::exists(fs::symlink_status(folder, error));
       folder = folder.parent_path())
    state->made.push_back(folder);
  fs::create_directories(output, error);
  if (error) return io_error(output, "cannot be created", error.value());
  // The lock is the folder itself: it goes with the process, however that ends.
  state->lock = ::open(output.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (state->lock < 0) return io_error(output, "cannot be opened", errno);
  if (::flock(state->lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Error{Code::invalid_input, output.string() +
                                            ": another build is at work in this folder; wait for "
                                            "it to end or choose another one"};
    // File systems without locks (some network ones) get none, and then nobody can tell a dead
    // build's folder from a living one's.
    if (errno != ENOLCK && errno != EOPNOTSUPP) return io_error(output, "cannot be locked", errno);
  } else {
    sweep(output);
  }
  const fs::path work = output / (std::string(kPrefix) + std::to_string(::getpid()));
  const auto hold = hold_unfinished();
  if (!fs::create_directory(work, error))
    return io_error(work, "cannot be created", error ? error.value() : EEXIST);
  state->work = work;
  state->unfinished.emplace(work);
  return WorkFolder(std::move(state));
}

Status WorkFolder::publish(const fs::path& name) {
  const fs::path from = state_->work / name;
  const fs::path to = state_->output / name;
  std::error_code error;
  if (same_content(from, to)) {
    fs::remove(from, error);
    return Done{};
  }
  const auto hold = hold_unfinished();
  fs::create_directories(to.parent_path(), error);
  if (error) return io_error(to.parent_path(), "cannot be created", error.value());
  fs::rename(from, to, error);
  if (error) return io_error(to, "cannot be moved into place", error.value());
  // EINVAL: overlay and FUSE file systems that have no fsync for folders.
  if (::fsync(state_->lock) != 0 && errno != EINVAL)
    return io_error(state_->output, "cannot be synced", errno);
  return Done{};
}

}  // namespace octavo
