// Products of constants counted by hand, in the spellings that exporters and quantizers use.

#include "toolkit/linear_work.h"

#include <gtest/gtest.h>

#include <vector>

#include "graph/builder.h"

namespace octavo {
namespace {

template <class T>
Tensor zeros(Shape shape) {
  return Tensor::of<T>(shape, std::vector<T>(static_cast<size_t>(shape[0] * shape[1])));
}

class LinearWorkTest : public testing::Test {
 protected:
  Value input() { return b_.input("x", DType::f32, {"tokens", 6}); }
  LinearWork work(const Value& y) {
    b_.output(y, "y", DType::f32, {"tokens", "width"});
    const auto work = linear_work(std::move(b_).finish(17));
    EXPECT_TRUE(work) << work.error().message;
    return *work;
  }
  GraphBuilder b_{"work"};
};

TEST_F(LinearWorkTest, FloatWeights) {
  const Value weight = b_.initializer({"w", zeros<float>({6, 10})});
  const LinearWork found = work(b_.op("MatMul", {input(), weight}));
  EXPECT_EQ(found.float_macs, 60U);
  EXPECT_EQ(found.int8_macs, 0U);
  EXPECT_EQ(found.weight_bytes, 240U);
}

TEST_F(LinearWorkTest, Int8WeightsAsQuantizersWriteThem) {
  const auto q = b_.ops("DynamicQuantizeLinear", {input()}, 3);
  const Value weight = b_.initializer({"w", zeros<int8_t>({6, 10})});
  const Value sums = b_.op("MatMulInteger", {q[0], weight, q[2]});
  const LinearWork found = work(b_.op("Cast", {sums}, {{"to", int64_t{1}}}));
  EXPECT_EQ(found.int8_macs, 60U);
  EXPECT_EQ(found.float_macs, 0U);
  EXPECT_EQ(found.weight_bytes, 60U);
}

TEST_F(LinearWorkTest, WeightsBehindOtherNodesAndTwice) {
  const Value stored = b_.initializer({"w", zeros<float>({6, 6})});
  const Value turned = b_.op("Transpose", {stored}, {{"perm", Ints{1, 0}}});
  const Value once = b_.op("MatMul", {input(), turned});
  // Shared weights are work each time.
  const LinearWork found = work(b_.op("MatMul", {once, b_.op("Identity", {stored})}));
  EXPECT_EQ(found.float_macs, 72U);
}

// Places in a list of floats: multiplied as floats, stored in bytes.
TEST_F(LinearWorkTest, WeightsThatAreLookedUp) {
  const Value places = b_.initializer({"w", zeros<uint8_t>({6, 10})});
  const Value list = b_.initializer({"list", Tensor::of<float>({2}, {0.5F, -0.5F})});
  const Value wide = b_.op("Cast", {places}, {{"to", static_cast<int64_t>(DType::i32)}});
  const LinearWork found = work(b_.op("MatMul", {input(), b_.op("Gather", {list, wide})}));
  EXPECT_EQ(found.float_macs, 60U);
  EXPECT_EQ(found.int8_macs, 0U);
  EXPECT_EQ(found.weight_bytes, 60U);
}

TEST_F(LinearWorkTest, WeightsThatAreLookedUpInFours) {
  const Value places = b_.initializer({"w", zeros<uint8_t>({6, 3})});
  const Value list = b_.initializer({"list", zeros<float>({2, 4})});
  const Value wide = b_.op("Cast", {places}, {{"to", static_cast<int64_t>(DType::i32)}});
  const Value weight = b_.op("Reshape", {b_.op("Gather", {list, wide}), b_.ints({6, 12})});
  const LinearWork found = work(b_.op("MatMul", {input(), weight}));
  EXPECT_EQ(found.float_macs, 72U);
  EXPECT_EQ(found.int8_macs, 0U);
  EXPECT_EQ(found.weight_bytes, 18U);
}

TEST_F(LinearWorkTest, ProductsOfActivationsAndTablesAreNone) {
  const Value x = input();
  const Value scores = b_.op("MatMul", {x, b_.op("Transpose", {x}, {{"perm", Ints{1, 0}}})});
  const LinearWork found = work(b_.op("MatMul", {scores, x}));
  EXPECT_EQ(found.float_macs + found.int8_macs + found.weight_bytes, 0U);
}

}  // namespace
}  // namespace octavo
