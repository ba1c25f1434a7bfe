#pragma once
// How long work reports itself. The library never prints: a caller that wants to see progress
// passes a function, and the program draws it on a terminal only.

#include <cstdint>
#include <functional>
#include <string_view>

namespace octavo {

// Called with a stage ("calibrate", "quantize", ...) and how many of `total` units are done; by one
// thread at a time, not always the same. It may throw, to give the work up: what was begun is
// undone as after an error, and the exception reaches who called.
using Progress = std::function<void(std::string_view stage, uint64_t done, uint64_t total)>;

}  // namespace octavo
