#pragma once
// The program's only threads. parallel_for splits [0, n) into chunks that any thread may take, so a
// body must not care who runs which chunk: that is what keeps results independent of the thread
// count. Workers spin between the regions of one forward pass (a futex round trip costs 14 us, a
// spinning one 0.07 us; a pass has hundreds) and sleep within microseconds of its end.

#include <cstddef>
#include <memory>

#include "base/function_ref.h"

namespace octavo {

// Threads that are worth having: the cores of the affinity mask (of hardware threads that share a
// core, one: they share its multipliers, too), cut down to the cgroup's CPU quota; at least 1.
int usable_cpus();

class ThreadPool {
 public:
  // threads <= 0 means usable_cpus(). The caller of parallel_for counts as one of them. If the
  // system refuses a thread, the pool works with those it got.
  explicit ThreadPool(int threads = 0);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const;

  // Calls body(begin, end) over disjoint chunks of at most `grain` (at least 1) covering [0, n),
  // and returns when all are done. A call from inside a body, or while another thread's region
  // runs, is executed by the calling thread alone. The body must not throw.
  // After a fork the child has no workers: its regions run on the calling thread.
  void parallel_for(size_t n, size_t grain, FunctionRef<void(size_t, size_t)> body);

 private:
  struct State;

 public:
  // While it lives, idle workers spin instead of going to sleep (giving their CPU away now and
  // then, should there be more threads than CPUs): for the length of one forward pass.
  class Busy {
   public:
    explicit Busy(ThreadPool& pool);
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy();

   private:
    State& state_;
  };

 private:
  std::unique_ptr<State> state_;
};

}  // namespace octavo
