#pragma once
// A pool works with the threads that the system grants; whoever asked for more should hear of it.

#include <string>

#include "base/thread_pool.h"

namespace octavo {

// "asked for 64 threads, got 12: ..."; empty when it got them, or asked for none (asked <= 0).
inline std::string thread_shortage(const ThreadPool& pool, int asked) {
  if (pool.threads() >= asked) return "";
  return "asked for " + std::to_string(asked) + " threads, got " + std::to_string(pool.threads()) +
         ": the system refused more (limits on processes or memory)";
}

}  // namespace octavo
