#pragma once
// The only place where the CPU is looked at.

#include <span>

#include "kernels/kernels.h"

namespace octavo::kernels {

// What this CPU can run, slowest first; never empty.
std::span<const Table* const> runnable();

// The last of runnable(), or the one that $OCTAVO_CPU names. Null when $OCTAVO_CPU names one that
// this CPU lacks or that does not exist: never a silent cap. Decided once.
const Table* best();

// Names of all tables ("ref avx2 avx512vnni amx"), for messages.
const char* known();

}  // namespace octavo::kernels
