#include "runtime/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace octavo {
namespace {

// Blocks never overlap, whatever the order of birth and death, and dead space is used again.
TEST(Arena, BlocksKeepTheirBytes) {
  auto arena = *Arena::create();
  std::mt19937 random(7);
  std::map<std::byte*, std::pair<size_t, int>> live;
  size_t bytes_live = 0;
  size_t most_live = 0;
  for (int round = 0; round < 5000; ++round) {
    if (live.size() < 40 && random() % 5 < 3) {
      const size_t size = random() % 3000;
      const auto block = arena->allocate(size);
      ASSERT_TRUE(block);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(*block) % 64, 0U);
      EXPECT_TRUE(arena->owns(*block));
      std::memset(*block, round & 0xff, size);
      ASSERT_TRUE(live.emplace(*block, std::pair(size, round & 0xff)).second);
      bytes_live += size;
    } else if (!live.empty()) {
      auto victim = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
      const auto [size, value] = victim->second;
      for (size_t i = 0; i < size; ++i)
        ASSERT_EQ(std::to_integer<int>(victim->first[i]), value) << "round " << round;
      arena->release(victim->first);
      live.erase(victim);
      bytes_live -= size;
    }
    most_live = std::max(most_live, bytes_live);
  }
  EXPECT_LT(arena->peak(), 2 * most_live);
  arena->reset();
  EXPECT_EQ(arena->peak(), 0U);
}

TEST(Arena, RefusesWhatTheMachineDoesNotHave) {
  auto arena = *Arena::create();
  for (const size_t bytes : {size_t{1} << 39, size_t{1} << 41, SIZE_MAX}) {
    const auto block = arena->allocate(bytes);
    ASSERT_FALSE(block) << bytes;
    EXPECT_EQ(block.error().code, Code::out_of_memory);
  }
  EXPECT_TRUE(arena->allocate(0));
  EXPECT_TRUE(arena->allocate(size_t{1} << 20));
}

TEST(Arena, PoolHandsOutOneEach) {
  ArenaPool pool;
  auto a = *pool.take();
  auto b = *pool.take();
  ASSERT_NE(a.get(), b.get());
  const Arena* first = a.get();
  pool.give_back(std::move(a));
  EXPECT_EQ((*pool.take()).get(), first);
}

}  // namespace
}  // namespace octavo
