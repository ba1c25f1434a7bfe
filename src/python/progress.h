#pragma once
// What the library reports on its way, to a Python callable; and where Ctrl-C gets through: the
// interpreter runs its signal handlers only when somebody asks it to.

#include <nanobind/nanobind.h>

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

}  // namespace octavo::python
