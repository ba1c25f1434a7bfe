// DynamicQuantizeLinear at its edges, and the round trip of every quantized type.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/random.h"
#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::run_node;

Node dynamic() { return node("DynamicQuantizeLinear", {}, {"y", "scale", "zero"}); }

TEST(DynamicQuantizeLinear, FollowsTheFormula) {
  struct Case {
    std::vector<float> x;
    float scale;
    int zero;
    std::vector<int> y;
  };
  for (const Case& c : {
           Case{{0, 2, -3, -2.5F, 1.34F, 0.5F}, 5.0F / 255, 153, {153, 255, 0, 26, 221, 179}},
           Case{{1, 2.55F}, 0.01F, 0, {100, 255}},  // the range is widened to hold 0
           Case{{-1, -2.55F}, 0.01F, 255, {155, 0}},
           Case{{0, 0, 0}, 1, 0, {0, 0, 0}},  // an open scale is 1
           Case{{1e-45F, 0}, 1, 0, {0, 0}},   // as is one that a denormal range rounds to 0
       }) {
    auto r = run_node(dynamic(), {Tensor::of({static_cast<int64_t>(c.x.size())}, c.x)});
    ASSERT_TRUE(r) << r.error().message;
    EXPECT_FLOAT_EQ((*r)[1].data<float>()[0], c.scale);
    EXPECT_EQ((*r)[2].data<uint8_t>()[0], c.zero);
    for (size_t i = 0; i < c.y.size(); ++i) EXPECT_EQ((*r)[0].data<uint8_t>()[i], c.y[i]) << i;
  }
}

TEST(DynamicQuantizeLinear, ARangeBeyondFloatStaysFinite) {
  auto r = run_node(dynamic(), {Tensor::of<float>({2}, {3e38F, -3e38F})});
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_TRUE(std::isfinite((*r)[1].data<float>()[0]));
  EXPECT_EQ((*r)[0].data<uint8_t>()[0], 255);
  EXPECT_EQ((*r)[0].data<uint8_t>()[1], 0);
}

TEST(DynamicQuantizeLinear, RefusesWhatIsNotFinite) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(40000, 1.0F);
    x[39999] = bad;
    auto r = run_node(dynamic(), {Tensor::of({40000}, x)});
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().message.find("NaN"), std::string::npos) << r.error().message;
  }
}

// Threads split the search for the range; the result must not care.
TEST(DynamicQuantizeLinear, ThreadsDoNotChangeABit) {
  const Tensor x = Tensor::of<float>({100000}, test::Random(2).floats(100000, -3, 5));
  auto one = run_node(dynamic(), {x}, 17, 1);
  auto many = run_node(dynamic(), {x}, 17, 7);
  ASSERT_TRUE(one && many);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(
        std::equal((*one)[i].bytes().begin(), (*one)[i].bytes().end(), (*many)[i].bytes().begin()));
  }
}

// x -> q -> x stays within half a step, for every type, per tensor, per axis and in blocks.
TEST(QuantizeLinear, RoundTripWithinHalfAStep) {
  test::Random random(3);
  const Tensor x = Tensor::of<float>({4, 12}, random.floats(48, -0.7F, 0.7F));
  struct Form {
    Shape scales;
    std::map<std::string, Attribute> attributes;
  };
  const std::vector<Form> forms = {
      {{}, {}},
      {{4}, {{"axis", int64_t{0}}}},
      {{12}, {{"axis", int64_t{-1}}}},
      {{4, 3}, {{"axis", int64_t{1}}, {"block_size", int64_t{4}}}},
      {{2, 12}, {{"axis", int64_t{0}}, {"block_size", int64_t{2}}}},
  };
  for (const DType dtype : {DType::u8, DType::i8, DType::u16, DType::i16, DType::u4, DType::i4}) {
    const bool narrow = dtype_bits(dtype) == 4;
    for (const Form& form : forms) {
      const auto count = static_cast<size_t>(*element_count(form.scales));
      const Tensor scale = Tensor::of<float>(
          form.scales, random.floats(count, narrow ? 0.11F : 0.006F, narrow ? 0.2F : 0.01F));
      Tensor zero = *Tensor::make(dtype, form.scales);  // 0 for signed types, else the middle
      if (dtype == DType::u8)
        std::fill(zero.mutable_bytes().begin(), zero.mutable_bytes().end(), std::byte{128});
      if (dtype == DType::u4)
        std::fill(zero.mutable_bytes().begin(), zero.mutable_bytes().end(), std::byte{0x88});
      if (dtype == DType::u16) std::fill_n(zero.mutable_data<uint16_t>(), count, uint16_t{32768});
      auto q = run_node(node("QuantizeLinear", {}, {}, form.attributes), {x, scale, zero}, 21);
      ASSERT_TRUE(q) << q.error().message;
      ASSERT_EQ((*q)[0].dtype(), dtype);
      auto back =
          run_node(node("DequantizeLinear", {}, {}, form.attributes), {(*q)[0], scale, zero}, 21);
      ASSERT_TRUE(back) << back.error().message;
      for (int64_t i = 0; i < 48; ++i) {
        EXPECT_NEAR((*back)[0].data<float>()[i], x.data<float>()[i], narrow ? 0.101 : 0.00501)
            << dtype_name(dtype) << " element " << i;
      }
    }
  }
}

TEST(QuantizeLinear, RefusesScalesThatDoNotFit) {
  const Tensor x = *Tensor::make(DType::f32, {4, 12});
  const auto scale = [](Shape shape) { return *Tensor::make(DType::f32, std::move(shape)); };
  EXPECT_FALSE(run_node(node("QuantizeLinear", {}, {}), {x, scale({5})}, 21));
  EXPECT_FALSE(
      run_node(node("QuantizeLinear", {}, {}, {{"axis", int64_t{2}}}), {x, scale({12})}, 21));
  EXPECT_FALSE(run_node(node("QuantizeLinear", {}, {}, {{"block_size", int64_t{-4}}}),
                        {x, scale({4, 3})}, 21));
  EXPECT_FALSE(run_node(node("QuantizeLinear", {}, {}, {{"block_size", int64_t{5}}}),
                        {x, scale({4, 2})}, 21));
  const Tensor zero = *Tensor::make(DType::u8, {2});
  EXPECT_FALSE(run_node(node("QuantizeLinear", {}, {}), {x, scale({12}), zero}, 21));
}

}  // namespace
}  // namespace octavo
