#pragma once
// What the machine could do at most, measured now with a pool's threads: the roof that `octavo
// bench` compares with.

#include <string>

#include "base/thread_pool.h"

namespace octavo {

struct MachineSpeed {
  std::string isa;  // of the kernels in use
  int threads = 0;
  double int8_macs = 0;         // a second, exact 8-bit dot products; 0: the kernels are plain C++
  double f32_macs = 0;          // a second, float FMA; 0 likewise
  double bytes_per_second = 0;  // read from memory
};

// About a second of work, and 512 MB while it lasts.
MachineSpeed measure_machine(ThreadPool& pool, const std::string& isa);

}  // namespace octavo
