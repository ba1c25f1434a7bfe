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
  Linear blocks = linear(false);
  blocks.attributes["bits"] = int64_t{4};
  EXPECT_FALSE(take_columns(blocks, 0, 2));
}

}  // namespace
}  // namespace octavo::raise
