#pragma once
// Tells several threads that one of them has failed, or that nobody wants the rest any more; a wait
// between two tries ends at once.

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace octavo::hub {

class Stop {
 public:
  void request();
  bool requested() const;
  // False when it was requested meanwhile.
  bool wait(std::chrono::milliseconds time);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool requested_ = false;
};

}  // namespace octavo::hub
