#include "runtime/registry.h"

#include "runtime/ops/families.h"

namespace octavo {

const Registry& Registry::instance() {
  static const Registry filled = [] {
    Registry registry;
    ops::register_arithmetic(registry);
    return registry;
  }();
  return filled;
}

}  // namespace octavo
