#pragma once
// Memory, mappings and threads that the system refuses when a test says so. The definitions here
// take the place of the C++ library's and of libc's in the whole program: include it from the one
// file of a test.

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace octavo::test {

// Counts calls; the one with number `at` fails (from 1; 0: none), and with it `more` that follow.
class Fault {
 public:
  void arm(long at, long more = 0) {
    first_ = at == 0 ? kNever : at;
    last_ = at == 0 ? kNever : at + more;
    calls_ = 0;
  }
  long calls() const { return calls_; }
  // Smaller requests are neither counted nor refused.
  void spare_below(size_t bytes) { least_ = bytes; }
  bool strikes(size_t bytes = std::numeric_limits<size_t>::max()) {
    if (bytes < least_) return false;
    const long call = calls_.fetch_add(1) + 1;
    return call >= first_ && call <= last_;
  }

 private:
  static constexpr long kNever = std::numeric_limits<long>::max();
  std::atomic<long> calls_{0};
  std::atomic<size_t> least_{0};
  std::atomic<long> first_{kNever};
  std::atomic<long> last_{kNever};
};

inline Fault memory, mappings, threads;

template <class F>
F real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace octavo::test

// Not inlined: GCC takes a new that it sees through to malloc for one that delete must not free.
__attribute__((noinline)) void* operator new(std::size_t size) {
  void* p = octavo::test::memory.strikes(size) ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
// The C++ library's own calls the one above; AddressSanitizer's does not, and delete would not
// match.
__attribute__((noinline)) void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return octavo::test::memory.strikes(size) ? nullptr : std::malloc(size == 0 ? 1 : size);
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}
__attribute__((noinline)) void operator delete(void* p, std::size_t) noexcept { std::free(p); }

extern "C" {
// protobuf makes a message before it has a place to keep it. Only LeakSanitizer calls this.
const char* __lsan_default_suppressions() { return "leak:google::protobuf::Arena"; }
void* aligned_alloc(size_t alignment, size_t size) noexcept {
  void* p = nullptr;
  if (octavo::test::memory.strikes(size) || posix_memalign(&p, alignment, size) != 0)
    return nullptr;
  return p;
}
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  static const auto next = octavo::test::real<decltype(&mmap)>("mmap");
  if (!octavo::test::mappings.strikes()) return next(at, size, protection, flags, fd, offset);
  errno = ENOMEM;
  return MAP_FAILED;
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) noexcept {
  static const auto next = octavo::test::real<decltype(&pthread_create)>("pthread_create");
  return octavo::test::threads.strikes() ? EAGAIN : next(thread, attributes, run, argument);
}
}
