#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/unfinished.h"

namespace octavo::cli {

namespace {

std::mutex handler_mutex;
std::function<void()> handler;

// Calls the handler, if there is one that has not been called.
bool handled() {
  const std::lock_guard lock(handler_mutex);
  if (!handler) return false;
  handler();
  handler = nullptr;
  return true;
}

// Waits instead of handling: almost nothing may be called inside a signal handler, removing a
// folder needs a lot.
void wait_for(sigset_t signals) {
  int number = 0;
  do {
    while (::sigwait(&signals, &number) != 0) {
    }
  } while (handled());
  // A second one ends the program at once.
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  remove_unfinished();
  ::raise(number);
}

}  // namespace

void clean_up_when_interrupted() {
  sigset_t signals;
  ::sigemptyset(&signals);
  bool any = false;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    // Who started us may want it ignored (nohup, a shell's background job); a blocked signal is
    // not ignored any more.
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
      ::sigaddset(&signals, number);
      any = true;
    }
  }
  if (!any) return;
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &signals, &before);
  try {
    std::thread(wait_for, signals).detach();
  } catch (const std::system_error&) {  // no thread to be had: the next run sweeps up
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

InterruptHandler::InterruptHandler(std::function<void()> call) {
  const std::lock_guard lock(handler_mutex);
  handler = std::move(call);
}

InterruptHandler::~InterruptHandler() {
  const std::lock_guard lock(handler_mutex);
  handler = nullptr;
}

}  // namespace octavo::cli
