#pragma once
// Why select.h's best() is null, for people: what $OCTAVO_CPU says, and what this CPU can run.

#include <cstdlib>
#include <string>

#include "kernels/select.h"

namespace octavo::kernels {

inline std::string no_kernels() {
  const char* wanted = std::getenv("OCTAVO_CPU");
  std::string message = "OCTAVO_CPU is \"" + std::string(wanted == nullptr ? "" : wanted) +
                        "\", which this CPU cannot run or which does not exist (known are " +
                        known() + "); here it can be";
  for (const Table* table : runnable()) message += std::string(" ") + table->name;
  return message;
}

}  // namespace octavo::kernels
