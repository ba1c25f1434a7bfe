#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/float_environment.h"

namespace octavo {

namespace {

// cgroup v2 "max 100000" or "150000 100000"; v1 in two files. 0 when there is no limit.
int cgroup_cpus() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period) {
    if (quota == "max" || period <= 0) return 0;
    return static_cast<int>(std::max(1.0, std::stod(quota) / period));
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double q = 0;
  if (v1_quota >> q && v1_period >> period && q > 0 && period > 0)
    return static_cast<int>(std::max(1.0, q / period));
  return 0;
}

constexpr auto kSpin = std::chrono::microseconds(40);

// The first hardware thread of the core of that CPU; the CPU itself when the system does not say.
int core_of(int cpu) {
  std::ifstream siblings("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                         "/topology/thread_siblings_list");
  int first = cpu;
  return siblings >> first ? first : cpu;
}

// How many forks lie between this process and the one that started.
std::atomic<int> forks{0};
void count_forks() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
}

inline void pause() { __builtin_ia32_pause(); }

thread_local bool inside_region = false;

}  // namespace

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    std::set<int> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cores.insert(core_of(cpu));
    cpus = std::max(1, static_cast<int>(cores.size()));
  }
  const int quota = cgroup_cpus();
  return quota > 0 ? std::min(cpus, quota) : cpus;
}

struct ThreadPool::State {
  struct Job {
    const FunctionRef<void(size_t, size_t)>* body = nullptr;
    size_t n = 0;
    size_t grain = 1;
  };

  // `open` counts regions: odd while one runs, even between them. A worker first enters (`inside`),
  // then looks at `open`; the caller first closes, then waits for `inside` to become zero. With
  // sequentially consistent order one of the two sees the other, so a late sleeper never touches a
  // job that has ended, and the caller never waits for a worker that slept through it.
  std::atomic<uint32_t> open{0};
  std::atomic<uint32_t> inside{0};
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::atomic<int> busy{0};  // forward passes that are going on
  int born = forks.load();
  Job job;
  std::mutex region;
  std::vector<std::thread> workers;
  std::mutex failed;
  std::exception_ptr failure;  // the first of this region

  // Memory can end on any thread: what a body throws goes to the caller, and nobody starts another
  // chunk.
  void take_chunks() noexcept {
    const Job& j = job;
    try {
      for (;;) {
        const size_t begin = next.fetch_add(j.grain, std::memory_order_relaxed);
        if (begin >= j.n) return;
        (*j.body)(begin, std::min(j.n, begin + j.grain));
      }
    } catch (...) {
      next.store(j.n, std::memory_order_relaxed);
      const std::lock_guard lock(failed);
      if (!failure) failure = std::current_exception();
    }
  }

  void work() {
    const FloatEnvironment ieee;  // whatever the thread that made the pool had set
    inside_region = true;         // a parallel_for inside a body runs alone
    uint32_t seen = 0;
    for (;;) {
      // In this order: who ends the pool sets `stop` first and changes `open` then, so that a
      // worker that misses the one waits for a value that is no longer there.
      const uint32_t now = open.load();
      if (stop.load()) return;
      if (now == seen || (now & 1U) == 0) {
        if (!spin_for_change(now)) open.wait(now);
        continue;
      }
      inside.fetch_add(1);
      if (open.load() == now) take_chunks();
      inside.fetch_sub(1);
      seen = now;
    }
  }

  bool spin_for_change(uint32_t from) const {
    const auto until = std::chrono::steady_clock::now() + kSpin;
    for (int round = 0;; ++round) {
      for (int i = 0; i < 64; ++i) {
        if (open.load(std::memory_order_relaxed) != from) return true;
        pause();
      }
      if (busy.load(std::memory_order_relaxed) == 0) {
        if (std::chrono::steady_clock::now() >= until) return false;
      } else if (round > 64) {
        std::this_thread::yield();  // whoever has the work may need this CPU
      }
    }
  }
};

ThreadPool::Busy::Busy(ThreadPool& pool) : state_(*pool.state_) { state_.busy.fetch_add(1); }
ThreadPool::Busy::~Busy() { state_.busy.fetch_sub(1); }

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  count_forks();
  if (threads <= 0) threads = usable_cpus();
  // Growing later could fail with threads that nobody would join.
  state_->workers.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) {
    try {
      state_->workers.emplace_back([s = state_.get()] { s->work(); });
    } catch (const std::exception&) {  // no thread, or no memory to start one
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  if (state_->born != forks.load()) {  // the threads stayed in the parent
    for (auto& worker : state_->workers) worker.detach();
    return;
  }
  state_->stop.store(true);
  state_->open.fetch_add(2);
  state_->open.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(size_t n, size_t grain, FunctionRef<void(size_t, size_t)> body) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  State& s = *state_;
  std::unique_lock<std::mutex> lock(s.region, std::defer_lock);
  if (n <= grain || s.workers.empty() || inside_region || s.born != forks.load() ||
      !lock.try_lock()) {
    for (size_t begin = 0; begin < n; begin += grain) body(begin, std::min(n, begin + grain));
    return;
  }
  s.job = {&body, n, grain};
  s.next.store(0);
  s.open.fetch_add(1);
  s.open.notify_all();
  inside_region = true;
  s.take_chunks();
  inside_region = false;
  s.open.fetch_add(1);
  // Spin briefly for the last chunk of a worker; yield when it lost its CPU.
  for (int i = 0; s.inside.load() != 0; ++i) {
    if (i < 4096) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
}

}  // namespace octavo
