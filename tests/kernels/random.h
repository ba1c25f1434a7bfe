#pragma once
// Reproducible numbers for kernel tests; std distributions differ between standard libraries.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace octavo::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  uint32_t bits() {  // splitmix64
    state_ += 0x9e3779b97f4a7c15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<uint32_t>(z >> 32);
  }
  float uniform(float low, float high) {
    return low + (high - low) * (static_cast<float>(bits() >> 8) * 0x1p-24F);
  }
  int integer(int low, int high) {
    return low + static_cast<int>(bits() % static_cast<uint32_t>(high - low + 1));
  }
  std::vector<float> floats(size_t n, float low = -1, float high = 1) {
    std::vector<float> v(n);
    for (float& x : v) x = uniform(low, high);
    return v;
  }

 private:
  uint64_t state_;
};

}  // namespace octavo::test
