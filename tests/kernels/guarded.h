#pragma once
// A buffer whose last byte (or first, with Guard::before) touches an unmapped page, so that a
// kernel that reads or writes one element too far dies there instead of passing by luck.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <span>

namespace octavo::test {

enum class Guard { after, before };

template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count, Guard guard = Guard::after) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = count * sizeof(T);
    const size_t body = (bytes + page - 1) / page * page;
    length_ = body + 2 * page;
    base_ =
        static_cast<char*>(mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED ||
        (body > 0 && mprotect(base_ + page, body, PROT_READ | PROT_WRITE) != 0)) {
      std::abort();
    }
    char* start = base_ + page + (guard == Guard::after ? body - bytes : 0);
    data_ = reinterpret_cast<T*>(start);
  }
  // From values, ending at the guard.
  template <class Range>
  static Guarded of(const Range& values) {
    Guarded result(values.size());
    size_t i = 0;
    for (const auto& v : values) result.data()[i++] = static_cast<T>(v);
    return result;
  }
  Guarded(Guarded&& other) noexcept
      : count_(other.count_), length_(other.length_), base_(other.base_), data_(other.data_) {
    other.base_ = nullptr;
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  Guarded& operator=(Guarded&&) = delete;
  ~Guarded() {
    if (base_ != nullptr) munmap(base_, length_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  std::span<T> span() { return {data_, count_}; }
  void fill(T value) {
    for (size_t i = 0; i < count_; ++i) data_[i] = value;
  }

 private:
  size_t count_;
  size_t length_ = 0;
  char* base_ = nullptr;
  T* data_ = nullptr;
};

// Bit for bit, except that any NaN equals any NaN.
inline bool same_bits(float a, float b) {
  if (a != a || b != b) return a != a && b != b;
  return std::memcmp(&a, &b, sizeof a) == 0;
}
template <class T>
bool same_bits(T a, T b) {
  return a == b;
}

template <class T>
::testing::AssertionResult same_bytes(const Guarded<T>& a, const Guarded<T>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a[i], b[i])) {
      return ::testing::AssertionFailure() << "element " << i << ": " << +a[i] << " and " << +b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace octavo::test
