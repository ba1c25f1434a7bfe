#include "base/unfinished.h"

#include <set>
#include <system_error>

namespace octavo {

namespace fs = std::filesystem;

namespace {

struct List {
  std::recursive_mutex mutex;
  std::multiset<fs::path> paths;
};

// Never destroyed: a signal may come while the program's static objects are.
List& list() {
  static List& the_list = *new List;
  return the_list;
}

}  // namespace

Unfinished::Unfinished(const fs::path& path) {
  std::error_code error;
  path_ = fs::absolute(path, error);
  const auto hold = hold_unfinished();
  list().paths.insert(path_);
}

Unfinished::~Unfinished() {
  const auto hold = hold_unfinished();
  list().paths.erase(list().paths.find(path_));
}

std::unique_lock<std::recursive_mutex> hold_unfinished() { return std::unique_lock(list().mutex); }

bool is_unfinished(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const auto hold = hold_unfinished();
  return list().paths.contains(absolute);
}

void remove_unfinished() {
  hold_unfinished().release();  // kept locked
  std::error_code ignored;
  for (const fs::path& path : list().paths) fs::remove_all(path, ignored);
}

}  // namespace octavo
