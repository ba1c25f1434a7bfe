#include "runtime/fused/spec.h"

#include "kernels/kernels.h"

namespace octavo::fused {

size_t LinearSpec::panel() const {
  return kind == WeightKind::s8 ? kernels::kPanelS8 : kernels::kPanelF32;
}

size_t LinearSpec::begin(size_t section) const {
  size_t column = 0;
  for (size_t i = 0; i < section; ++i) {
    const size_t n = gated ? (sections[i] + 31) / 32 * 64 : sections[i];
    column += (n + panel() - 1) / panel() * panel();
  }
  return column;
}

size_t LinearSpec::columns() const { return begin(sections.size()); }

}  // namespace octavo::fused
