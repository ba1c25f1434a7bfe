#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <limits>

#include "tensor/compare.h"

namespace octavo {
namespace {

TEST(Shape, CountsAndRefusesOverflow) {
  EXPECT_EQ(*element_count(Shape{}), 1);
  EXPECT_EQ(*element_count(Shape{2, 0, 3}), 0);
  EXPECT_FALSE(element_count(Shape{-1}));
  EXPECT_FALSE(element_count(Shape{int64_t{1} << 32, int64_t{1} << 32}));
  EXPECT_FALSE(element_count(Shape{0, int64_t{1} << 32, int64_t{1} << 32}));
  EXPECT_EQ(*byte_count(DType::i4, Shape{3}), 2U);
  EXPECT_FALSE(byte_count(DType::f64, Shape{std::numeric_limits<int64_t>::max()}));
  EXPECT_FALSE(byte_count(DType::string, Shape{1}));
}

TEST(Tensor, OwnsAlignedZeros) {
  auto t = Tensor::make(DType::f32, {2, 3});
  ASSERT_TRUE(t);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t->bytes().data()) % 64, 0U);
  for (const float x : t->values<float>()) EXPECT_EQ(x, 0.0F);
  EXPECT_EQ(Tensor::make(DType::f32, {int64_t{1} << 45}).error().code, Code::out_of_memory);
}

TEST(Tensor, BorrowChecksTheBytes) {
  const std::vector<float> v{1, 2, 3};
  const auto bytes = std::as_bytes(std::span(v));
  EXPECT_TRUE(Tensor::borrow(DType::f32, {3}, bytes, nullptr));
  EXPECT_FALSE(Tensor::borrow(DType::f32, {4}, bytes, nullptr));
  EXPECT_EQ(Tensor::of<float>({3}, v).reshaped({3, 1})->dim(0), 3);
  EXPECT_FALSE(Tensor::of<float>({3}, v).reshaped({2}));
}

TEST(Compare, Values) {
  const std::vector<float> a{1, 0};
  const std::vector<float> b{1, 1};
  EXPECT_NEAR(cosine(a, b), 0.70710678118654752, 1e-15);
  EXPECT_EQ(max_abs_difference(a, b), 1.0);
  const std::vector<float> nan{std::numeric_limits<float>::quiet_NaN(), 0};
  EXPECT_EQ(max_abs_difference(a, nan), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace octavo
