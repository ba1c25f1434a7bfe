// Bytes counted by hand.

#include "toolkit/size_parts.h"

#include <gtest/gtest.h>

#include <vector>

#include "graph/builder.h"

namespace octavo {
namespace {

template <class T>
Tensor zeros(Shape shape) {
  return Tensor::of<T>(shape, std::vector<T>(static_cast<size_t>(shape[0] * shape[1])));
}

class SizePartsTest : public testing::Test {
 protected:
  SizeParts parts(const Value& y, uint64_t bytes) {
    b_.output(y, "y", DType::f32, {"tokens", "width"});
    const auto found = size_parts(std::move(b_).finish(17), bytes);
    EXPECT_TRUE(found) << found.error().message;
    return *found;
  }
  Value ids() { return b_.input("input_ids", DType::i64, {"tokens"}); }
  GraphBuilder b_{"parts"};
};

TEST_F(SizePartsTest, TablesLinearsAndTheRest) {
  const Value rows = b_.op("Gather", {b_.initializer({"table", zeros<float>({100, 6})}), ids()});
  const Value product = b_.op("MatMul", {rows, b_.initializer({"w", zeros<float>({6, 10})})});
  const SizeParts found = parts(product + 1.0F, 5000);
  EXPECT_EQ(found.tables, 2400U);
  EXPECT_EQ(found.linears, 240U);
  EXPECT_EQ(found.rest, 2360U);
}

TEST_F(SizePartsTest, Int8RowsWithTheirScalesAndInt8Weights) {
  const Value id = ids();
  const Value rows = b_.op("Gather", {b_.initializer({"q", zeros<int8_t>({100, 6})}), id});
  const Value scales = b_.op("Gather", {b_.initializer({"s", zeros<float>({100, 1})}), id});
  const Value x = b_.op("Cast", {rows}, {{"to", int64_t{1}}}) * scales;
  const auto q = b_.ops("DynamicQuantizeLinear", {x}, 3);
  const Value w = b_.initializer({"w", zeros<int8_t>({6, 10})});
  const Value y = b_.op("Cast", {b_.op("MatMulInteger", {q[0], w, q[2]})}, {{"to", int64_t{1}}});
  const SizeParts found = parts(y, 2000);
  EXPECT_EQ(found.tables, 600U + 400U);
  EXPECT_EQ(found.linears, 60U);
}

TEST_F(SizePartsTest, AMatrixByItsPlaces) {
  const Value rows = b_.op("Gather", {b_.initializer({"table", zeros<float>({100, 6})}), ids()});
  const Value places = b_.initializer({"p", zeros<uint8_t>({6, 5})});
  const Value list = b_.initializer({"list", zeros<float>({3, 2})});
  const Value wide = b_.op("Cast", {places}, {{"to", static_cast<int64_t>(DType::i32)}});
  const Value weight = b_.op("Reshape", {b_.op("Gather", {list, wide}), b_.ints({6, 10})});
  const SizeParts found = parts(b_.op("MatMul", {rows, weight}), 5000);
  EXPECT_EQ(found.tables, 2400U);
  EXPECT_EQ(found.linears, 30U);
}

// A weight that two products read; a tied table is read by both kinds.
TEST_F(SizePartsTest, NothingCountsTwice) {
  const Value table = b_.initializer({"table", zeros<float>({6, 6})});
  const Value rows = b_.op("Gather", {table, ids()});
  const Value w = b_.initializer({"w", zeros<float>({6, 6})});
  const Value sum = b_.op("MatMul", {rows, w}) + b_.op("MatMul", {rows, w});
  const SizeParts found = parts(b_.op("MatMul", {sum, table}), 1000);
  EXPECT_EQ(found.tables, 144U);
  EXPECT_EQ(found.linears, 144U);
  EXPECT_EQ(found.rest, 712U);
}

}  // namespace
}  // namespace octavo
