#pragma once
// While it lives, this thread computes as IEEE 754 says: round to nearest even, subnormals kept, no
// traps; then the caller's own setting is back. A host program may have set flush-to-zero or
// another rounding, and results must not depend on it.

#include <immintrin.h>

namespace octavo {

class FloatEnvironment {
 public:
  FloatEnvironment() : before_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
  ~FloatEnvironment() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kDefault = 0x1f80;  // all exceptions masked, nearest, no FTZ, no DAZ
  unsigned before_;
};

}  // namespace octavo
