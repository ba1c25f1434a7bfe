#pragma once
// Every family of ops, one file each. A new one is declared here and called in registry.cc.

#include "runtime/registry.h"

namespace octavo::ops {

void register_arithmetic(Registry& registry);
void register_gemm(Registry& registry);
void register_layer_normalization(Registry& registry);
void register_matmul(Registry& registry);
void register_matmul_integer(Registry& registry);
void register_quantize_linear(Registry& registry);
void register_softmax(Registry& registry);

}  // namespace octavo::ops
