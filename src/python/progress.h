#pragma once
// What the library reports on its way, to a Python callable; and where Ctrl-C gets through: the
// interpreter runs its signal handlers only when somebody asks it to.

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "octavo/progress.h"
#include "python/errors.h"

namespace octavo::python {

// Throws what a signal handler raised (KeyboardInterrupt). Needs the GIL; does nothing outside the
// main thread, as Python's handlers.
inline void check_signals() {
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

// Runs work(progress) without the GIL. Every report of progress lets signals through and calls
// `callback` (stage, done, total) unless it is None; what either raises ends the work and is raised
// here.
template <class Work>
auto run_reporting(const nb::object& callback, Work&& work) {
  const Progress progress = [&callback](std::string_view stage, uint64_t done, uint64_t total) {
    const nb::gil_scoped_acquire gil;
    check_signals();
    if (!callback.is_none()) callback(nb::str(stage.data(), stage.size()), done, total);
  };
  const nb::gil_scoped_release released;
  return std::forward<Work>(work)(progress);
}

// For work that may be silent for a long time, as a server: it runs, as work(progress, stop), on a
// thread of its own, while this one waits for it without the GIL, lets signals through, and calls
// `callback` with the latest progress. What either raises asks the work to stop and is raised here.
template <class Work>
auto run_beside(const nb::object& callback, Work&& work) {
  using Returned = decltype(work(Progress(), std::stop_token()));
  constexpr std::chrono::milliseconds kPause{50};
  struct Reported {
    std::string stage;
    uint64_t done, total;
  };
  std::mutex mutex;
  std::condition_variable over;
  std::optional<Returned> returned;
  std::optional<Reported> reported;
  std::exception_ptr thrown;
  const Progress progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
    const std::lock_guard lock(mutex);
    reported = Reported{std::string(stage), done, total};
  };
  const auto call = [&] {
    std::optional<Reported> news;
    {
      const std::lock_guard lock(mutex);
      news.swap(reported);
    }
    const nb::gil_scoped_acquire gil;
    check_signals();
    if (news && !callback.is_none())
      callback(nb::str(news->stage.data(), news->stage.size()), news->done, news->total);
  };

  const nb::gil_scoped_release released;
  std::jthread thread([&](std::stop_token stop) {
    std::optional<Returned> got;
    std::exception_ptr failed;
    try {
      got = work(progress, std::move(stop));
    } catch (...) {
      failed = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    returned = std::move(got);
    thrown = failed;
    over.notify_one();
  });
  for (bool ended = false; !ended;) {
    {
      std::unique_lock lock(mutex);
      ended = over.wait_for(lock, kPause, [&] { return returned || thrown; });
    }
    call();  // what it throws stops the thread and waits for it
  }
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
  return *std::move(returned);
}

}  // namespace octavo::python
