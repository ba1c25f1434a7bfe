#pragma once
// Progress is part of the public API (octavo/progress.h); this adds the call that passes may make.

#include "octavo/progress.h"

namespace octavo {

inline void report(const Progress& progress, std::string_view stage, uint64_t done,
                   uint64_t total) {
  if (progress) progress(stage, done, total);
}

}  // namespace octavo
