#include "toolkit/output_difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/half.h"

namespace octavo {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor halves(DType dtype, const std::vector<float>& values) {
  Tensor t = *Tensor::make(dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i)
    t.mutable_data<uint16_t>()[i] =
        dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
  return t;
}

TEST(OutputDifference, IsRelativeToTheRangeInEveryType) {
  const std::vector<float> a{1.5F, -3.75F}, b{1, -4};  // exact in float16 and bfloat16
  const auto check = [](const Tensor& x, const Tensor& y, double rounding) {
    const auto apart = output_difference(x, y);
    ASSERT_TRUE(apart);
    EXPECT_EQ(apart->relative, 0.125);
    EXPECT_EQ(apart->rounding, rounding);
    EXPECT_EQ(output_difference(y, y)->relative, 0);
  };
  check(Tensor::of<float>({2}, a), Tensor::of<float>({2}, b), 0);
  check(Tensor::of<double>({2}, {1.5, -3.75}), Tensor::of<double>({2}, {1, -4}), 0);
  check(halves(DType::f16, a), halves(DType::f16, b), 0x1p-10);
  check(halves(DType::bf16, a), halves(DType::bf16, b), 0x1p-7);
}

// Neighbours in a type are never further apart than its rounding says.
TEST(OutputDifference, RoundingCoversNeighbours) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const float value : {1.0F, 1.999F, 1000.0F, 0.3F}) {
      const Tensor one = halves(dtype, {value});
      Tensor next = *one.clone();
      ++next.mutable_data<uint16_t>()[0];
      const auto apart = output_difference(next, one);
      EXPECT_GT(apart->relative, apart->rounding / 4);
      EXPECT_LE(apart->relative, apart->rounding) << value;
    }
  }
}

TEST(OutputDifference, NeverCallsDamageEqual) {
  const float nan = std::nanf("");
  const auto of = [](std::vector<float> v) {
    return Tensor::of<float>({static_cast<int64_t>(v.size())}, v);
  };
  EXPECT_EQ(output_difference(of({nan, 1}), of({nan, 1}))->relative, 0);
  EXPECT_EQ(output_difference(of({nan, 1}), of({2, 1}))->relative, kInfinity);
  EXPECT_EQ(output_difference(of({2, 1}), of({nan, 1}))->relative, kInfinity);
  EXPECT_EQ(output_difference(of({1e-30F}), of({0}))->relative, kInfinity);
  EXPECT_EQ(output_difference(of({1, 2}), of({1, 2, 3}))->relative, kInfinity);
  EXPECT_EQ(output_difference(halves(DType::f16, {1}), of({1}))->relative, kInfinity);
  // An infinity of the reference does not hide what the rest does.
  const auto inf = static_cast<float>(kInfinity);
  EXPECT_EQ(output_difference(of({inf, 2}), of({inf, 1}))->relative, 1);
}

TEST(OutputDifference, IsNoneWithoutNumbers) {
  EXPECT_FALSE(output_difference(Tensor::of<int64_t>({1}, {1}), Tensor::of<int64_t>({1}, {2})));
  EXPECT_FALSE(output_difference(Tensor::of<float>({0}, {}), Tensor::of<float>({0}, {})));
}

}  // namespace
}  // namespace octavo
