#include "graph/raised_ops.h"
#include "passes/raise_graphs.h"

namespace octavo::raise {
namespace {

// [K, N] with element (k, n) = 10 k + n.
Initializer grid(const std::string& name, int64_t rows, int64_t columns) {
  std::vector<float> values;
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t n = 0; n < columns; ++n) values.push_back(static_cast<float>(10 * k + n));
  }
  return {name, Tensor::of<float>({rows, columns}, values)};
}

std::vector<float> numbers(const Initializer& i) {
  const auto tensor = i.tensor();
  EXPECT_TRUE(tensor);
  const auto values = tensor->values<float>();
  return {values.begin(), values.end()};
}

Linear linear(bool transposed) {
  Linear l;
  l.weight = transposed ? grid("w", 5, 3) : grid("w", 3, 5);
  l.transposed = transposed;
  l.k = 3;
  l.n = 5;
  l.bias = Initializer("bias", Tensor::of<float>({5}, {0, 1, 2, 3, 4}));
  l.scale = Initializer("scale", Tensor::of<float>({1}, {7}));
  return l;
}

TEST(RaiseColumns, CutsWeightAndBias) {
  const auto part = take_columns(linear(false), 1, 3);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->n, 2);
  EXPECT_EQ(part->weight.shape(), (Shape{3, 2}));
  EXPECT_EQ(numbers(part->weight), (std::vector<float>{1, 2, 11, 12, 21, 22}));
  EXPECT_EQ(numbers(*part->bias), (std::vector<float>{1, 2}));
  EXPECT_EQ(numbers(*part->scale), (std::vector<float>{7}));  // one for all
  EXPECT_NE(part->weight.name(), "w");
}

TEST(RaiseColumns, CutsRowsOfATransposedWeight) {
  const auto part = take_columns(linear(true), 3, 5);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->weight.shape(), (Shape{2, 3}));
  EXPECT_EQ(numbers(part->weight), (std::vector<float>{30, 31, 32, 40, 41, 42}));
}

TEST(RaiseColumns, RefusesRangesOutside) {
  for (const auto& [begin, end] : {std::pair{-1, 2}, std::pair{2, 2}, std::pair{3, 6}})
    EXPECT_FALSE(take_columns(linear(false), begin, end)) << begin << ".." << end;
}

// Two blocks a column: B [5, 2, 3] with element (n, block, byte) = 10 n + 3 block + byte.
TEST(RaiseColumns, CutsBlocks) {
  std::vector<float> bytes, scales;
  for (int n = 0; n < 5; ++n) {
    for (int i = 0; i < 6; ++i) bytes.push_back(static_cast<float>(10 * n + i));
    for (int block = 0; block < 2; ++block) scales.push_back(static_cast<float>(10 * n + block));
  }
  Linear l = linear(false);
  l.kind = raised::kNBits;
  l.weight = Initializer("b", Tensor::of<float>({5, 2, 3}, bytes));
  l.scale = Initializer("scales", Tensor::of<float>({10}, scales));
  l.zero_point = Initializer("zeros", Tensor::of<float>({5, 2}, scales));
  l.attributes["N"] = int64_t{5};
  const auto part = take_columns(l, 1, 3);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->weight.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(numbers(part->weight),
            (std::vector<float>{10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25}));
  EXPECT_EQ(numbers(*part->scale), (std::vector<float>{10, 11, 20, 21}));
  EXPECT_EQ(numbers(*part->zero_point), (std::vector<float>{10, 11, 20, 21}));
  EXPECT_EQ(numbers(*part->bias), (std::vector<float>{1, 2}));
  EXPECT_EQ(std::get<int64_t>(part->attributes.at("N")), 2);
  l.scale = Initializer("scales", Tensor::of<float>({3}, {1, 2, 3}));
  EXPECT_FALSE(take_columns(l, 1, 3));
}

}  // namespace
}  // namespace octavo::raise
