#include "runtime/registry.h"

#include "runtime/ops/families.h"

namespace octavo {

const Registry& Registry::instance() {
  static const Registry filled = [] {
    Registry registry;
    ops::register_arithmetic(registry);
    ops::register_gemm(registry);
    ops::register_layer_normalization(registry);
    ops::register_matmul(registry);
    ops::register_matmul_integer(registry);
    ops::register_quantize_linear(registry);
    ops::register_softmax(registry);
    return registry;
  }();
  return filled;
}

}  // namespace octavo
