// MatMulInteger against int64 sums: every pair of signs, every form of zero points, constant and
// dynamic right sides; limits.

#include <gtest/gtest.h>

#include <vector>

#include "kernels/random.h"
#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::Random;

constexpr int64_t kM = 7, kK = 45, kN = 70;

// Bytes of either sign, the extremes included.
Tensor bytes_of(Random& random, const Shape& shape, bool is_signed) {
  Tensor t = *Tensor::make(is_signed ? DType::i8 : DType::u8, shape);
  for (std::byte& b : t.mutable_bytes()) b = static_cast<std::byte>(random.bits());
  if (t.size() > 2) t.mutable_bytes()[0] = std::byte{0x80};
  return t;
}

int64_t at(const Tensor& t, int64_t i) {
  return t.dtype() == DType::i8 ? int64_t{t.data<int8_t>()[i]} : int64_t{t.data<uint8_t>()[i]};
}

struct Case {
  bool a_signed;
  bool b_signed;
  int a_zeros;  // 0: none, 1: one, 2: one a row
  int b_zeros;  // 0: none, 1: one, 2: one a column
  bool constant;
};

class MatMulInteger : public testing::TestWithParam<Case> {};

TEST_P(MatMulInteger, IsExact) {
  const Case& c = GetParam();
  Random random(11);
  const Tensor a = bytes_of(random, {2, kM, kK}, c.a_signed);
  const Tensor b = bytes_of(random, {kK, kN}, c.b_signed);
  const Tensor za = bytes_of(random, c.a_zeros == 2 ? Shape{kM} : Shape{}, c.a_signed);
  const Tensor zb = bytes_of(random, c.b_zeros == 2 ? Shape{kN} : Shape{}, c.b_signed);
  Node n = node("MatMulInteger", {"a", "b", c.a_zeros != 0 ? "za" : "", c.b_zeros != 0 ? "zb" : ""},
                {"y"});
  std::vector<Initializer> constants;
  std::vector<ValueInfo> inputs = {test::value("a", a.dtype())};
  std::vector<Feed> feeds = {{"a", a}};
  const auto add = [&](const char* name, const Tensor& t, bool fixed) {
    if (fixed) {
      constants.emplace_back(name, t);
    } else {
      inputs.push_back(test::value(name, t.dtype()));
      feeds.emplace_back(name, t);
    }
  };
  add("b", b, c.constant);
  if (c.a_zeros != 0) add("za", za, false);
  if (c.b_zeros != 0) add("zb", zb, c.constant);
  auto session =
      Session::create(test::model({n}, inputs, {"y"}, constants), {.pool = nullptr, .threads = 3});
  ASSERT_TRUE(session) << session.error().message;
  auto result = session->run(feeds);
  ASSERT_TRUE(result) << result.error().message;
  const Tensor& y = (*result)[0];
  ASSERT_EQ(y.shape(), (Shape{2, kM, kN}));
  for (int64_t r = 0; r < 2 * kM; ++r) {
    for (int64_t j = 0; j < kN; ++j) {
      const int64_t zero_a = c.a_zeros == 0 ? 0 : at(za, c.a_zeros == 2 ? r % kM : 0);
      const int64_t zero_b = c.b_zeros == 0 ? 0 : at(zb, c.b_zeros == 2 ? j : 0);
      int64_t sum = 0;
      for (int64_t p = 0; p < kK; ++p)
        sum += (at(a, r * kK + p) - zero_a) * (at(b, p * kN + j) - zero_b);
      ASSERT_EQ(y.data<int32_t>()[r * kN + j], sum) << r << " " << j;
    }
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const bool a_signed : {false, true})
    for (const bool b_signed : {false, true})
      for (const int a_zeros : {0, 1, 2})
        for (const int b_zeros : {0, 1, 2})
          for (const bool constant : {false, true})
            cases.push_back({a_signed, b_signed, a_zeros, b_zeros, constant});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Forms, MatMulInteger, testing::ValuesIn(all_cases()));

TEST(MatMulIntegerLimits, RefusesSumsThatMightOverflow) {
  const Tensor a = *Tensor::make(DType::u8, {1, 65794});
  const Tensor b = *Tensor::make(DType::i8, {65794, 1});
  auto dynamic = test::run_node(node("MatMulInteger", {}, {}), {a, b});
  ASSERT_FALSE(dynamic);
  EXPECT_NE(dynamic.error().message.find("65793"), std::string::npos) << dynamic.error().message;
  auto session =
      Session::create(test::model({node("MatMulInteger", {"a", "b"}, {"y"})},
                                  {test::value("a", DType::u8)}, {"y"}, {Initializer("b", b)}),
                      {});
  EXPECT_FALSE(session);
}

TEST(MatMulIntegerLimits, RefusesZeroPointsThatDoNotFit) {
  const Tensor a = *Tensor::make(DType::u8, {3, 4});
  const Tensor b = *Tensor::make(DType::i8, {4, 5});
  for (const Tensor& za : {*Tensor::make(DType::u8, {2}), *Tensor::make(DType::i8, {})}) {
    EXPECT_FALSE(test::run_node(node("MatMulInteger", {}, {}), {a, b, za}));
  }
  EXPECT_FALSE(
      test::run_node(node("MatMulInteger", {}, {}), {a, b, {}, *Tensor::make(DType::i8, {4})}));
}

}  // namespace
}  // namespace octavo
