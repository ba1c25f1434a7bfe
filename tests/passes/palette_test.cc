// Matrices of few different numbers become places in a list, bit by bit the same; others stay.

#include "passes/palette.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "graph/builder.h"
#include "passes/rotation.h"

namespace octavo {
namespace {

constexpr const char* kName = "residual_rotation.back";

Model product(const std::string& name, const Tensor& matrix) {
  GraphBuilder b("g");
  const Value x = b.input("x", DType::f32, {"tokens", matrix.dim(0)});
  b.output(b.op("MatMul", {x, b.initializer({name, matrix})}), "y", DType::f32,
           {"tokens", matrix.dim(1)});
  return std::move(b).finish(17);
}

// [rows, columns] with element i being numbers[i % numbers.size()].
Tensor of(Shape shape, const std::vector<float>& numbers) {
  std::vector<float> all(static_cast<size_t>(shape[0] * shape[1]));
  for (size_t i = 0; i < all.size(); ++i) all[i] = numbers[i % numbers.size()];
  return Tensor::of<float>(shape, all);
}

std::vector<float> different(size_t count) {
  std::vector<float> numbers;
  for (size_t i = 0; i < count; ++i) numbers.push_back(static_cast<float>(i) * 0.1F - 3);
  return numbers;
}

void expect_unchanged(const Tensor& matrix, const std::string& name = kName) {
  Model model = product(name, matrix);
  const auto saved = store_rotation_by_palette(model);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(*saved, 0U);
  EXPECT_EQ(model.graph.nodes.size(), 1U);
  ASSERT_EQ(model.graph.initializers.size(), 1U);
  EXPECT_EQ(model.graph.initializers[0].name(), name);
}

// Its bits, put together again: `entries` groups of so many numbers.
void expect_stored(const Tensor& matrix, size_t entries, size_t numbers) {
  Model model = product(kName, matrix);
  const auto saved = store_rotation_by_palette(model);
  ASSERT_TRUE(saved) << saved.error().message;
  const auto elements = static_cast<uint64_t>(matrix.size());
  EXPECT_EQ(*saved,
            4 * elements - elements / numbers - 4 * entries * numbers - (numbers == 1 ? 0 : 16));
  const Graph& graph = model.graph;
  ASSERT_EQ(graph.nodes.size(), numbers == 1 ? 3U : 4U);
  EXPECT_EQ(graph.nodes[0].op_type, "Cast");
  EXPECT_EQ(graph.nodes[1].op_type, "Gather");
  EXPECT_EQ(graph.nodes[graph.nodes.size() - 2].outputs[0], kName);
  EXPECT_EQ(graph.find_initializer(kName), nullptr);
  const Tensor list = *graph.find_initializer(std::string(kName) + "_values")->tensor();
  const Tensor places = *graph.find_initializer(std::string(kName) + "_places")->tensor();
  EXPECT_EQ(static_cast<size_t>(list.size()), entries * numbers);
  EXPECT_EQ(places.dtype(), DType::u8);
  ASSERT_EQ(places.shape(), (Shape{matrix.dim(0), matrix.dim(1) / static_cast<int64_t>(numbers)}));
  for (size_t i = 0; i < elements; ++i) {
    const size_t place = places.data<uint8_t>()[i / numbers];
    ASSERT_EQ(std::bit_cast<uint32_t>(list.data<float>()[place * numbers + i % numbers]),
              std::bit_cast<uint32_t>(matrix.data<float>()[i]))
        << i;
  }
}

TEST(Palette, KeepsEveryBit) {
  expect_stored(of({40, 32}, {0.1F}), 1, 4);
  expect_stored(of({40, 32}, {0.1F, 0.2F}), 1, 4);
  expect_stored(of({40, 30}, {0.1F, 0.2F}), 1, 2);
  expect_stored(of({40, 33}, {0.1F, 0.2F}), 2, 1);
  expect_stored(of({40, 33}, different(256)), 256, 1);
  // Too many groups of four, of two.
  expect_stored(of({100, 36}, different(255)), 255, 4);
  std::vector<float> pairs;  // 100 of them, and 500 pairs of these
  for (size_t i = 0; i < 500; ++i)
    for (const size_t first : {i % 100, (i + i / 100 * 3) % 100})
      pairs.insert(pairs.end(), {static_cast<float>(first), 1.0F});
  expect_stored(of({100, 20}, pairs), 100, 2);
  // Equal numbers that are not the same bits.
  expect_stored(of({39, 33}, {0.0F, -0.0F, 1.0F}), 3, 1);
  expect_stored(of({39, 33}, {std::bit_cast<float>(0x7fc00001U), std::nanf(""),
                              std::numeric_limits<float>::infinity(), 1e-42F}),
                4, 1);
}

TEST(Palette, StaysFloatWhereAByteIsNotEnough) {
  expect_unchanged(of({32, 33}, different(257)));
  expect_unchanged(of({257, 8}, different(1 << 11)));
  expect_unchanged(of({8, 8}, {0.5F, -0.5F}));           // nothing to gain
  expect_unchanged(of({32, 32}, {0.5F, -0.5F}), "w.T");  // no rotation
  Model model = product(kName, of({32, 32}, {0.5F}));
  model.graph.initializers.emplace_back(std::string(kName) + "_places", Tensor::scalar(1.0F));
  const auto done = store_by_palette(model.graph, kName);
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done) << "a name that is taken";
}

// Every width of a model that rotates: signs times a Hadamard matrix times a cosine transform.
TEST(Palette, HoldsEveryRotation) {
  for (const size_t width : {36U, 40U, 64U, 384U, 512U, 576U, 896U, 1024U}) {
    SCOPED_TRACE(width);
    const auto back = transposed(Rotation(width));
    ASSERT_TRUE(back);
    Model model = product(kName, *back);
    const auto saved = store_rotation_by_palette(model);
    ASSERT_TRUE(saved) << saved.error().message;
    const Tensor list = *model.graph.find_initializer(std::string(kName) + "_values")->tensor();
    EXPECT_EQ(list.dim(1), 4);
    EXPECT_GT(*saved, 4 * width * width - width * width / 4 - 4 * 257 * 4);
    EXPECT_EQ(list.dim(0) <= 16, std::has_single_bit(width));
  }
}

}  // namespace
}  // namespace octavo
