#pragma once
// Every family of ops, one file each. A new one is declared here and called in registry.cc.

#include "runtime/registry.h"

namespace octavo::ops {

void register_arithmetic(Registry& registry);

}  // namespace octavo::ops
