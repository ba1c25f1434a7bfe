// The yardsticks: there for every instruction set this CPU runs, in the right order of magnitude.

#include "kernels/peak.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/select.h"

namespace octavo::kernels {
namespace {

TEST(Peak, OfWhatTheCpuRuns) {
  for (const Table* table : runnable()) {
    const double f32 = measure_f32_peak(table->name, 0);
    const double u8s8 = measure_u8s8_peak(table->name, 0);
    if (table == &kRef) {
      EXPECT_EQ(f32, 0);
      EXPECT_EQ(u8s8, 0);
      continue;
    }
    // One multiply-add a cycle at 10 MHz, and 64 lanes twice a cycle at 10 GHz, eight times that in
    // tiles.
    EXPECT_GT(f32, 0.01) << table->name;
    EXPECT_LT(f32, 1280) << table->name;
    EXPECT_GT(u8s8, 0.01) << table->name;
    EXPECT_LT(u8s8, 10240) << table->name;
  }
  EXPECT_EQ(measure_f32_peak("sse2"), 0);
  EXPECT_EQ(measure_u8s8_peak("sse2"), 0);
}

TEST(Peak, Bandwidth) {
  const std::vector<unsigned char> bytes(1 << 20, 1);
  const double rate = measure_read_bandwidth(bytes.data(), bytes.size());
  EXPECT_GT(rate, 0.001);
  EXPECT_LT(rate, 10000);
}

}  // namespace
}  // namespace octavo::kernels
