#pragma once
// The tables that kernel tests loop over: what this CPU runs, and the same sources of AVX2,
// AVX-512 and AMX once more, compiled through SIMDe for any CPU (simde/), so that no machine leaves
// an instruction set untested.

#include <vector>

#include "kernels/select.h"

namespace octavo::kernels {
#ifdef OCTAVO_SIMDE
extern const Table kSimdeAvx2;
extern const Table kSimdeAvx512Vnni;
extern const Table kSimdeAmx;
#endif
}  // namespace octavo::kernels

namespace octavo::test {

inline std::vector<const kernels::Table*> tables() {
  const auto here = kernels::runnable();
  std::vector<const kernels::Table*> all(here.begin(), here.end());
#ifdef OCTAVO_SIMDE
  all.push_back(&kernels::kSimdeAvx2);
  all.push_back(&kernels::kSimdeAvx512Vnni);
  all.push_back(&kernels::kSimdeAmx);
#endif
  return all;
}

}  // namespace octavo::test
