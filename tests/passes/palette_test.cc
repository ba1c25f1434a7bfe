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

// Its bits, put together again.
void expect_stored(const Tensor& matrix, size_t numbers) {
  Model model = product(kName, matrix);
  const auto saved = store_rotation_by_palette(model);
  ASSERT_TRUE(saved) << saved.error().message;
  const auto elements = static_cast<uint64_t>(matrix.size());
  EXPECT_EQ(*saved, 3 * elements - 4 * numbers);
  const Graph& graph = model.graph;
  ASSERT_EQ(graph.nodes.size(), 3U);
  EXPECT_EQ(graph.nodes[0].op_type, "Cast");
  EXPECT_EQ(graph.nodes[1].op_type, "Gather");
  EXPECT_EQ(graph.nodes[1].outputs[0], kName);
  EXPECT_EQ(graph.find_initializer(kName), nullptr);
  const Tensor list = *graph.find_initializer(std::string(kName) + "_values")->tensor();
  const Tensor places = *graph.find_initializer(std::string(kName) + "_places")->tensor();
  EXPECT_EQ(static_cast<size_t>(list.size()), numbers);
  EXPECT_EQ(places.dtype(), DType::u8);
  ASSERT_EQ(places.shape(), matrix.shape());
  for (size_t i = 0; i < elements; ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(list.data<float>()[places.data<uint8_t>()[i]]),
              std::bit_cast<uint32_t>(matrix.data<float>()[i]))
        << i;
}

TEST(Palette, KeepsEveryBit) {
  expect_stored(of({40, 30}, {0.1F}), 1);
  expect_stored(of({32, 32}, different(255)), 255);
  expect_stored(of({32, 32}, different(256)), 256);
  // Equal numbers that are not the same bits.
  expect_stored(of({32, 32}, {0.0F, -0.0F, 1.0F}), 3);
  expect_stored(of({32, 32}, {std::bit_cast<float>(0x7fc00001U), std::nanf(""),
                              std::numeric_limits<float>::infinity(), 1e-42F}),
                4);
}

TEST(Palette, StaysFloatWhereAByteIsNotEnough) {
  expect_unchanged(of({32, 32}, different(257)));
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
    EXPECT_GT(*saved, 3 * width * width - 4 * 257);
    const Tensor list = *model.graph.find_initializer(std::string(kName) + "_values")->tensor();
    EXPECT_EQ(list.size() == 2, std::has_single_bit(width));
  }
}

}  // namespace
}  // namespace octavo
