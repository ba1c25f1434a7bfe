#include "kernels/select.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <array>
#include <cstdlib>
#include <cstring>

namespace octavo::kernels {
namespace {

// Each name after the -m flags of its folder in the root CMakeLists.txt: what the compiler may use,
// the CPU must have. __builtin_cpu_supports also asks whether the OS saves the wide registers.
#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
bool has_avx512vnni() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
// Linux gives the 8 KiB of tiles to a process that asks, for all its threads; it refuses where a
// thread's signal stack is too small for them.
bool has_amx() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

const char* wanted() {
  const char* name = std::getenv("OCTAVO_CPU");
  return name == nullptr ? "" : name;
}

struct Runnable {
  std::array<const Table*, 4> tables{&kRef};
  size_t count = 1;
  Runnable() {
#if defined(__x86_64__)
    if (has_avx2()) tables[count++] = &kAvx2;
    if (has_avx512vnni()) tables[count++] = &kAvx512Vnni;
    // Tiles are the process's from then on: not asked for where another table is named. A name that
    // nobody knows asks: the error lists what could be named.
    bool other = false;
    for (const Table* table : {&kRef, &kAvx2, &kAvx512Vnni})
      other = other || std::strcmp(wanted(), table->name) == 0;
    if (!other && has_avx512vnni() && has_amx()) tables[count++] = &kAmx;
#endif
  }
};

const Table* decide() {
  const auto tables = runnable();
  if (*wanted() == '\0') return tables.back();
  for (const Table* table : tables) {
    if (std::strcmp(table->name, wanted()) == 0) return table;
  }
  return nullptr;
}

}  // namespace

std::span<const Table* const> runnable() {
  static const Runnable found;
  return {found.tables.data(), found.count};
}

const Table* best() {
  static const Table* const decided = decide();
  return decided;
}

const char* known() { return "ref avx2 avx512vnni amx"; }

}  // namespace octavo::kernels
