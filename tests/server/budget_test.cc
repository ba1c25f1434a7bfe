// Memory that requests share: no more than there is, all of it back, from any thread.

#include "server/budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace octavo::server {
namespace {

TEST(Budget, GivesWhatIsThereAndTakesItBack) {
  Budget budget;
  auto first = budget.take(60, 100);
  ASSERT_TRUE(first);
  EXPECT_FALSE(budget.take(41, 100));
  const auto second = budget.take(40, 100);
  EXPECT_TRUE(second);
  EXPECT_FALSE(budget.take(1, 100));
  EXPECT_TRUE(budget.take(0, 100));
  first.reset();
  EXPECT_EQ(budget.used(), 40U);
  EXPECT_TRUE(budget.take(60, 100));
}

TEST(Budget, MoreThanAllOfItIsForWhoComesAlone) {
  Budget budget;
  auto large = budget.take(1000, 100);
  ASSERT_TRUE(large);
  EXPECT_FALSE(budget.take(1, 100));
  EXPECT_FALSE(budget.take(1000, 100));
  large.reset();
  const auto small = budget.take(1, 100);
  EXPECT_TRUE(small);
  EXPECT_FALSE(budget.take(1000, 100));
  EXPECT_FALSE(budget.take(SIZE_MAX, 100));
}

TEST(Budget, AShareMayOutliveIt) {
  auto budget = std::make_unique<Budget>();
  const auto share = budget->take(10, 100);
  budget.reset();
  EXPECT_TRUE(share);
}

TEST(Budget, IsNeverOverdrawn) {
  Budget budget;
  std::atomic<size_t> held{0};
  std::atomic<size_t> most{0};
  std::atomic<size_t> given{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (size_t n = 0; n < 2000; ++n) {
        const size_t bytes = 1 + (t * 7 + n) % 40;
        const auto share = budget.take(bytes, 100);
        if (!share) continue;
        ++given;
        const size_t now = held.fetch_add(bytes) + bytes;
        size_t seen = most.load();
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        held.fetch_sub(bytes);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_LE(most, 100U);
  EXPECT_GT(given, 0U);
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace octavo::server
