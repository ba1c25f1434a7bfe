#include "kernels/select.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/no_kernels.h"

namespace octavo::kernels {
namespace {

// best() decides once, so each answer needs a process of its own: its name, or "none".
std::string best_with(const char* wanted) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    wanted == nullptr ? unsetenv("OCTAVO_CPU") : setenv("OCTAVO_CPU", wanted, 1);
    const Table* table = best();
    const char* name = table == nullptr ? "none" : table->name;
    _exit(write(ends[1], name, std::strlen(name)) < 0);
  }
  close(ends[1]);
  char buffer[64];
  const ssize_t n = read(ends[0], buffer, sizeof buffer);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return {buffer, n > 0 ? static_cast<size_t>(n) : 0};
}

TEST(Select, RefIsAlwaysRunnableAndFirst) {
  ASSERT_FALSE(runnable().empty());
  EXPECT_EQ(runnable()[0], &kRef);
}

TEST(Select, TheFastestUnlessTold) {
  EXPECT_EQ(best_with(nullptr), runnable().back()->name);
  EXPECT_EQ(best_with(""), runnable().back()->name);
}

TEST(Select, TheNamedOneOrNone) {
  for (const Table* table : runnable()) EXPECT_EQ(best_with(table->name), table->name);
  for (const char* unknown : {"sse2", "AVX2", "avx2 ", "avx512"})
    EXPECT_EQ(best_with(unknown), "none");
  for (const Table* table : {&kRef, &kAvx2, &kAvx512Vnni, &kAmx}) {
    bool here = false;
    for (const Table* r : runnable()) here = here || r == table;
    if (!here) {
      EXPECT_EQ(best_with(table->name), "none");
    }
  }
}

TEST(Select, SaysWhatWasAskedFor) {
  ASSERT_EQ(setenv("OCTAVO_CPU", "sse2", 1), 0);
  EXPECT_NE(no_kernels().find("OCTAVO_CPU is \"sse2\""), std::string::npos) << no_kernels();
  unsetenv("OCTAVO_CPU");
}

TEST(Select, EveryTableIsComplete) {
  for (const Table* table : runnable()) {
    // All members are pointers: none may be null.
    const auto* member = reinterpret_cast<const void* const*>(table);
    for (size_t i = 0; i < sizeof(Table) / sizeof(void*); ++i) {
      EXPECT_NE(member[i], nullptr) << table->name << " member " << i;
    }
    EXPECT_NE(std::string(known()).find(table->name), std::string::npos);
  }
}

}  // namespace
}  // namespace octavo::kernels
