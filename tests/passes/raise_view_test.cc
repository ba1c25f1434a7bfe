#include "passes/raise_view.h"

#include "passes/raise_graphs.h"

namespace octavo::raise {
namespace {

TEST(RaiseView, KnowsWhatAValueDependsOn) {
  GraphBuilder b("g");
  const Value ids = b.input("input_ids", DType::i64, {"batch", "length"});
  const Value mask = b.input("attention_mask", DType::i64, {"batch", "length"});
  const Value types = b.input("token_type_ids", DType::i64, {"batch", "length"});
  const Value other = b.input("pixel_values", DType::f32, {"batch"});
  const Value length = b.op("Shape", {ids});
  const Value chosen = b.op("NonZero", {ids});
  const std::vector<std::pair<Value, unsigned>> cases = {
      {b.op("Identity", {b.scalar(1.0F)}), 0},
      {length, kLength},
      {b.op("Expand", {b.scalar(1.0F), length}), kLength},
      {b.op("CumSum", {mask, b.scalar(int64_t{1})}), kMask},
      {b.op("Add", {ids, mask}), kIds | kMask},
      {b.op("Cast", {types}, {{"to", int64_t{1}}}), kTypes},
      {b.op("Abs", {other}), kOther},
      // How many there are says what they were.
      {b.op("Shape", {chosen}), kIds | kDataShape},
  };
  b.output(b.op("Abs", {ids}), "y", DType::i64, {"batch", "length"});
  const Model model = std::move(b).finish(17);
  const auto all = dependencies(model.graph);
  ASSERT_TRUE(all);
  for (const auto& [value, bits] : cases) EXPECT_EQ(all->at(value.name), bits) << value.name;
  // What a probe keeps: nothing that changes with the tokens.
  const auto kept = probe_values(model.graph);
  EXPECT_NE(std::find(kept.begin(), kept.end(), length.name), kept.end());
  EXPECT_EQ(std::find(kept.begin(), kept.end(), chosen.name), kept.end());
}

TEST(RaiseView, FollowsRowsThroughLayouts) {
  Sketch s;
  const Value flat = s.see(s.b.op("Reshape", {s.x, s.b.ints({-1, 4})}), Shape{6, 4});
  const Value same = s.see(s.b.op("Identity", {flat}), Shape{6, 4});
  const Value half = s.see(s.b.op("Cast", {same}, {{"to", int64_t{10}}}), Shape{6, 4});
  const Value heads = s.see(s.b.op("Reshape", {half, s.b.ints({1, 6, 2, 2})}), Shape{1, 6, 2, 2});
  const View view = s.view();
  EXPECT_EQ(view.rows(half.name), "last_hidden_state");
  EXPECT_TRUE(view.is_rows(half.name));
  EXPECT_FALSE(view.is_rows(heads.name));
  EXPECT_EQ(view.rows(heads.name), heads.name);  // another width
  EXPECT_EQ(view.tokens(), 6);
}

TEST(RaiseView, SeesConstantsBehindNodes) {
  Sketch s;
  const Value w = s.constant("w", {4, 3});
  const Value turned = s.b.op("Transpose", {s.b.op("Cast", {w}, {{"to", int64_t{1}}})});
  const Value twice = s.b.op("Transpose", {turned}, {{"perm", Ints{1, 0}}});
  const Value five = s.b.op("Identity", {s.b.scalar(int64_t{5})});
  const Value vector = s.constant("v", {1, 1, 4});
  const Value column = s.constant("column", {4, 1});
  const View view = s.view();
  ASSERT_TRUE(view.matrix(turned.name));
  EXPECT_EQ(view.matrix(turned.name)->rows(), 3);
  EXPECT_TRUE(view.matrix(turned.name)->transposed);
  EXPECT_FALSE(view.matrix(twice.name)->transposed);
  EXPECT_EQ(view.number(five.name), 5.0);
  EXPECT_FALSE(view.number(w.name));
  EXPECT_TRUE(view.vector(vector.name, 4));
  EXPECT_FALSE(view.vector(vector.name, 3));
  EXPECT_FALSE(view.vector(column.name, 4));
  EXPECT_FALSE(view.constant(s.x.name));
}

}  // namespace
}  // namespace octavo::raise
