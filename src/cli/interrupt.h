#pragma once
// Ctrl-C, SIGTERM and SIGHUP: what is unfinished is removed, then the signal ends the program as it
// would have without us.

#include <functional>

namespace octavo::cli {

// Call before the first thread is made: threads inherit that these signals are not theirs.
void clean_up_when_interrupted();

// While it lives, the first such signal calls `handler` (once, on a thread of its own) and ends
// nothing; a second one does.
class InterruptHandler {
 public:
  explicit InterruptHandler(std::function<void()> handler);
  InterruptHandler(const InterruptHandler&) = delete;
  InterruptHandler& operator=(const InterruptHandler&) = delete;
  ~InterruptHandler();
};

}  // namespace octavo::cli
