#include "passes/channel_map.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

constexpr int32_t kNo = ChannelMap::kUntouched;
using Ids = std::vector<int32_t>;

// What numpy gives: channels laid out as `ids` over `dims`.
ChannelMap map_of(Shape dims, Ids ids) { return {std::move(dims), std::move(ids)}; }

TEST(ChannelMap, LastAxis) {
  EXPECT_EQ(ChannelMap::last_axis(3, 4), map_of({1, 1, 4}, {0, 1, 2, 3}));
  EXPECT_TRUE(map_of({1, 2}, {kNo, kNo}).untouched());
  EXPECT_FALSE(map_of({1, 2}, {kNo, 0}).untouched());
}

TEST(Transpose, MovesTheChannels) {
  // [B, S, H, D] -> [B, H, S, D], channels over heads and head dimensions.
  const ChannelMap out = map_of({1, 2, 1, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(*through_transpose(out, Shape{0, 2, 1, 3}), map_of({1, 1, 2, 3}, {0, 1, 2, 3, 4, 5}));
  // [K, N] -> [N, K] swaps the order of the ids when both axes vary.
  EXPECT_EQ(*through_transpose(map_of({2, 3}, {0, 1, 2, 3, 4, 5}), Shape{1, 0}),
            map_of({3, 2}, {0, 3, 1, 4, 2, 5}));
  // Not its own inverse: output axis i is input axis perm[i].
  EXPECT_EQ(*through_transpose(map_of({1, 2, 3}, {0, 1, 2, 3, 4, 5}), Shape{2, 0, 1}),
            map_of({2, 3, 1}, {0, 1, 2, 3, 4, 5}));
  EXPECT_FALSE(through_transpose(out, Shape{0, 2, 1}));
  EXPECT_FALSE(through_transpose(out, Shape{0, 2, 2, 3}));
}

struct ReshapeCase {
  const char* what;
  std::vector<Shape> input, output;  // of two runs
  ChannelMap map;
  Shape dims;  // expected; empty: refused
  Ids ids;
};

TEST(Reshape, FollowsTheGrouping) {
  const std::vector<ReshapeCase> cases = {
      {"heads merge",
       {{2, 5, 2, 3}, {3, 7, 2, 3}},
       {{2, 5, 6}, {3, 7, 6}},
       ChannelMap::last_axis(3, 6),
       {1, 1, 2, 3},
       {0, 1, 2, 3, 4, 5}},
      {"heads split",
       {{2, 5, 6}, {3, 7, 6}},
       {{2, 5, 2, 3}, {3, 7, 2, 3}},
       map_of({1, 1, 2, 3}, {0, 1, 2, 3, 4, 5}),
       {1, 1, 6},
       {0, 1, 2, 3, 4, 5}},
      {"batch and sequence merge",
       {{2, 5, 6}, {3, 7, 6}},
       {{10, 6}, {21, 6}},
       ChannelMap::last_axis(2, 6),
       {1, 1, 6},
       {0, 1, 2, 3, 4, 5}},
      {"unsqueeze",
       {{2, 4, 5, 3}, {3, 4, 7, 3}},
       {{2, 4, 1, 5, 3}, {3, 4, 1, 7, 3}},
       map_of({1, 4, 1, 1, 1}, {0, 1, 2, 3}),
       {1, 4, 1, 1},
       {0, 1, 2, 3}},
      {"leading one",
       {{1, 5, 2}, {1, 7, 2}},
       {{5, 2}, {7, 2}},
       ChannelMap::last_axis(2, 2),
       {1, 1, 2},
       {0, 1}},
      {"part of a merged axis is written out",
       {{2, 5, 6}, {3, 7, 6}},
       {{2, 5, 2, 3}, {3, 7, 2, 3}},
       map_of({1, 1, 1, 3}, {0, 1, 2}),
       {1, 1, 6},
       {0, 1, 2, 0, 1, 2}},
      {"untouched groups may do as they like",
       {{2, 5, 4, 6}, {3, 7, 4, 6}},
       {{10, 4, 6}, {21, 4, 6}},
       ChannelMap::last_axis(3, 6),
       {1, 1, 1, 6},
       {0, 1, 2, 3, 4, 5}},
      {"channels mixed with the sequence",
       {{2, 5, 4}, {3, 7, 4}},
       {{2, 20}, {3, 28}},
       map_of({1, 1}, {0}),
       {1, 1, 1},
       {0}},
      {"heads mixed with the batch",
       {{2, 2, 5, 3}, {3, 2, 7, 3}},
       {{4, 5, 3}, {6, 7, 3}},
       map_of({4, 1, 1}, {0, 1, 2, 3}),
       {},
       {}},
      {"another grouping for another size",
       {{4, 6}, {6, 4}},
       {{4, 6}, {4, 6}},
       ChannelMap::last_axis(2, 6),
       {},
       {}},
      {"size differs", {{2, 6}, {3, 6}}, {{2, 6}, {3, 6}}, ChannelMap::last_axis(2, 5), {}, {}},
      {"never observed", {}, {}, ChannelMap::last_axis(2, 6), {}, {}},
  };
  for (const auto& c : cases) {
    const auto in = through_reshape(c.map, c.input, c.output);
    EXPECT_EQ(in.ok(), !c.dims.empty()) << c.what;
    if (in && !c.dims.empty()) {
      EXPECT_EQ(*in, map_of(c.dims, c.ids)) << c.what;
    }
  }
}

TEST(Expand, TiesWhatOneElementFeeds) {
  // Key/value heads repeated for their query heads: [B, K, 1, S, D] -> [B, K, 2, S, D].
  std::vector<ChannelTie> ties;
  const auto in =
      through_expand(map_of({1, 2, 2, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7}), Shape{9, 2, 1, 5, 2}, ties);
  ASSERT_TRUE(in);
  EXPECT_EQ(*in, map_of({1, 2, 1, 1, 2}, {0, 1, 4, 5}));
  ASSERT_EQ(ties.size(), 4U);
  EXPECT_EQ(ties[0].a, 0);
  EXPECT_EQ(ties[0].b, 2);
  EXPECT_EQ(ties[3].a, 5);
  EXPECT_EQ(ties[3].b, 7);
  // A lower rank is broadcast too.
  EXPECT_EQ(*through_expand(map_of({1, 1, 2}, {0, 1}), Shape{2}, ties), map_of({2}, {0, 1}));
  // One element can't be both divided and left alone.
  EXPECT_FALSE(through_expand(map_of({1, 2}, {0, kNo}), Shape{4, 1}, ties));
}

TEST(Selection, ScattersAndTies) {
  std::vector<ChannelTie> ties;
  // The last third of a fused query/key/value projection.
  EXPECT_EQ(*through_selection(map_of({1, 2}, {0, 1}), 1, Shape{4, 5}, 6, ties),
            map_of({1, 6}, {kNo, kNo, kNo, kNo, 0, 1}));
  EXPECT_TRUE(ties.empty());
  // A map that does not vary along the axis still touches only what is read.
  EXPECT_EQ(*through_selection(map_of({1, 2}, {0, 1}), 0, Shape{2}, 3, ties),
            map_of({3, 2}, {kNo, kNo, kNo, kNo, 0, 1}));
  EXPECT_EQ(*through_selection(map_of({4}, {0, 1, 2, 3}), 0, Shape{0, 1, 0, 1}, 2, ties),
            map_of({2}, {0, 1}));
  EXPECT_EQ(ties.size(), 2U);
  EXPECT_FALSE(through_selection(map_of({2}, {0, 1}), 0, Shape{0, 5}, 3, ties));
  EXPECT_FALSE(through_selection(map_of({2}, {0, 1}), 0, Shape{0}, 3, ties));
}

TEST(Select, TakesPositions) {
  const ChannelMap map = map_of({2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(select(map, 1, Shape{2, 0}), map_of({2, 2}, {2, 0, 5, 3}));
  EXPECT_EQ(select(map, 0, Shape{1}), map_of({1, 3}, {3, 4, 5}));
  EXPECT_EQ(select(map_of({1, 3}, {0, 1, 2}), 0, Shape{7}), map_of({1, 3}, {0, 1, 2}));
}

TEST(Operand, MustVaryAlongTheChannels) {
  const ChannelMap map = ChannelMap::last_axis(3, 4);
  EXPECT_EQ(*for_operand(map, Shape{4}, false), ChannelMap::last_axis(1, 4));
  EXPECT_EQ(*for_operand(map, Shape{2, 7, 4}, false), map);
  EXPECT_FALSE(for_operand(map, Shape{2, 7, 1}, false));
  EXPECT_FALSE(for_operand(map, Shape{}, false));
  EXPECT_FALSE(for_operand(map, Shape{1, 1, 1, 4}, false));
  EXPECT_EQ(*for_operand(map, Shape{7, 1}, true), ChannelMap::last_axis(2, 4));
  EXPECT_FALSE(for_operand(map, Shape{}, true));  // a scalar has no axis to grow
}

}  // namespace
}  // namespace octavo
