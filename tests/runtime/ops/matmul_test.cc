// What the node cases leave out: packed and unpacked sides give the same bits, so do threads and
// batches; numpy's broadcasting against sums in double; errors.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/random.h"
#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::Random;
using test::run_node;

Tensor random_tensor(Random& random, const Shape& shape) {
  return Tensor::of(shape, random.floats(static_cast<size_t>(*element_count(shape))));
}

// One MatMul with a constant B.
Result<Tensor> with_constant(const Tensor& a, const Tensor& b, int threads = 2) {
  Model model = test::model({node("MatMul", {"a", "b"}, {"y"})}, {test::value("a", a.dtype())},
                            {"y"}, {Initializer("b", b)});
  OCTAVO_TRY(const Session session,
             Session::create(std::move(model), {.pool = nullptr, .threads = threads}));
  const std::vector<Feed> feeds = {{"a", a}};
  OCTAVO_TRY(auto results, session.run(feeds));
  return results[0];
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.bytes().size() == b.bytes().size() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

struct Case {
  Shape a;
  Shape b;
  Shape y;
};

class Broadcasts : public testing::TestWithParam<Case> {};

// Index of the matrix of `shape` that result matrix `i` uses, by the definition.
int64_t matrix_of(const Shape& batch, const Shape& result_batch, int64_t i) {
  int64_t index = 0;
  int64_t stride = 1;
  for (size_t back = 1; back <= result_batch.size(); ++back) {
    const int64_t at = i % result_batch[result_batch.size() - back];
    i /= result_batch[result_batch.size() - back];
    if (back > batch.size()) continue;
    const int64_t dim = batch[batch.size() - back];
    index += (dim == 1 ? 0 : at) * stride;
    stride *= dim;
  }
  return index;
}

TEST_P(Broadcasts, AsNumpyDoes) {
  const Case& c = GetParam();
  Random random(7);
  const Tensor a = random_tensor(random, c.a);
  const Tensor b = random_tensor(random, c.b);
  auto result = run_node(node("MatMul", {}, {}), {a, b});
  ASSERT_TRUE(result) << result.error().message;
  const Tensor& y = (*result)[0];
  ASSERT_EQ(y.shape(), c.y);
  // As two-dimensional matrices with batch dimensions before them.
  Shape sa = c.a.size() == 1 ? Shape{1, c.a[0]} : c.a;
  Shape sb = c.b.size() == 1 ? Shape{c.b[0], 1} : c.b;
  Shape sy = c.y;
  if (c.a.size() == 1) sy.insert(sy.end() - (c.b.size() == 1 ? 0 : 1), 1);
  if (c.b.size() == 1) sy.push_back(1);
  const int64_t m = sa[sa.size() - 2];
  const int64_t k = sa.back();
  const int64_t n = sb.back();
  const Shape batch_a(sa.begin(), sa.end() - 2);
  const Shape batch_b(sb.begin(), sb.end() - 2);
  const Shape batch_y(sy.begin(), sy.end() - 2);
  const int64_t count = *element_count(batch_y);
  for (int64_t i = 0; i < count; ++i) {
    const float* pa = a.data<float>() + matrix_of(batch_a, batch_y, i) * m * k;
    const float* pb = b.data<float>() + matrix_of(batch_b, batch_y, i) * k * n;
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += static_cast<double>(pa[r * k + p]) * pb[p * n + j];
        ASSERT_NEAR(y.data<float>()[(i * m + r) * n + j], sum, 1e-5) << i << " " << r << " " << j;
      }
    }
  }
  if (c.b.size() == 2) {
    auto packed = with_constant(a, b);
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_TRUE(same_bytes(y, *packed)) << "a constant B gives other bits";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Broadcasts,
    testing::Values(Case{{3, 4}, {4, 5}, {3, 5}}, Case{{4}, {4}, {}}, Case{{4}, {4, 5}, {5}},
                    Case{{3, 4}, {4}, {3}}, Case{{2, 3, 4}, {4}, {2, 3}},
                    Case{{4}, {2, 4, 5}, {2, 5}}, Case{{2, 3, 4}, {4, 5}, {2, 3, 5}},
                    Case{{3, 4}, {2, 4, 5}, {2, 3, 5}}, Case{{2, 1, 3, 4}, {6, 4, 5}, {2, 6, 3, 5}},
                    Case{{2, 6, 3, 4}, {2, 1, 4, 5}, {2, 6, 3, 5}},
                    Case{{5, 1, 3, 4}, {1, 2, 4, 5}, {5, 2, 3, 5}},
                    Case{{4, 70, 33}, {4, 33, 140}, {4, 70, 140}},
                    Case{{1, 100, 64}, {64, 300}, {1, 100, 300}}, Case{{0, 4}, {4, 5}, {0, 5}},
                    Case{{3, 0}, {0, 5}, {3, 5}}, Case{{2, 0, 4}, {2, 4, 5}, {2, 0, 5}}));

TEST(MatMul, ThreadsDoNotChangeABit) {
  Random random(3);
  for (const Shape& b_shape : {Shape{96, 200}, Shape{5, 96, 200}, Shape{5, 96, 64}}) {
    const Tensor a = random_tensor(random, {5, 130, 96});
    const Tensor b = random_tensor(random, b_shape);
    auto want = run_node(node("MatMul", {}, {}), {a, b}, 17, 1);
    ASSERT_TRUE(want);
    for (const int threads : {2, 3, 7, 64}) {
      auto got = run_node(node("MatMul", {}, {}), {a, b}, 17, threads);
      ASSERT_TRUE(got);
      EXPECT_TRUE(same_bytes((*want)[0], (*got)[0])) << threads << " threads";
      if (b_shape.size() == 2) {
        auto packed = with_constant(a, b, threads);
        ASSERT_TRUE(packed);
        EXPECT_TRUE(same_bytes((*want)[0], *packed)) << threads << " threads, packed";
      }
    }
  }
}

TEST(MatMul, ARowDoesNotDependOnItsBatch) {
  Random random(5);
  const Tensor b = random_tensor(random, {48, 100});
  const Tensor a = random_tensor(random, {60, 48});
  auto whole = with_constant(a, b);
  ASSERT_TRUE(whole);
  for (const int64_t rows : {1, 2, 7, 13, 59}) {
    const auto part =
        *Tensor::borrow(DType::f32, {rows, 48},
                        a.bytes().first(static_cast<size_t>(rows) * 48 * sizeof(float)), nullptr);
    auto some = with_constant(part, b);
    ASSERT_TRUE(some);
    EXPECT_EQ(std::memcmp(some->bytes().data(), whole->bytes().data(), some->bytes().size()), 0);
  }
}

TEST(MatMul, IntegersWrap) {
  const Tensor a = Tensor::of<int32_t>({1, 2}, {1 << 30, 1 << 30});
  const Tensor b = Tensor::of<int32_t>({2, 1}, {3, 2});
  auto result = run_node(node("MatMul", {}, {}), {a, b});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)[0].data<int32_t>()[0], 1 << 30);  // 5 * 2^30 modulo 2^32
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  Random random(1);
  struct Bad {
    Tensor a;
    Tensor b;
    const char* says;
  };
  for (const Bad& bad :
       {Bad{random_tensor(random, {2, 3}), random_tensor(random, {4, 5}), "inner dimensions"},
        Bad{random_tensor(random, {2, 2, 3}), random_tensor(random, {3, 3, 5}), "broadcast"},
        Bad{random_tensor(random, {}), random_tensor(random, {3}), "scalar"},
        Bad{random_tensor(random, {2, 3}), Tensor::of<double>({3, 1}, {1, 2, 3}), "types"}}) {
    auto result = run_node(node("MatMul", {}, {}), {bad.a, bad.b});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find(bad.says), std::string::npos) << result.error().message;
  }
}

TEST(Gemm, ConstantAndDynamicSidesAgree) {
  Random random(9);
  for (const int64_t ta : {0, 1}) {
    for (const int64_t tb : {0, 1}) {
      const Tensor a = random_tensor(random, ta != 0 ? Shape{20, 7} : Shape{7, 20});
      const Tensor b = random_tensor(random, tb != 0 ? Shape{33, 20} : Shape{20, 33});
      for (const Shape& c_shape : {Shape{33}, Shape{7, 1}, Shape{7, 33}, Shape{1}}) {
        const Tensor c = random_tensor(random, c_shape);
        Node gemm = node("Gemm", {"a", "b", "c"}, {"y"}, {{"transA", ta}, {"transB", tb}});
        auto dynamic = run_node(gemm, {a, b, c});
        ASSERT_TRUE(dynamic) << dynamic.error().message;
        auto session = Session::create(
            test::model({gemm}, {test::value("a", DType::f32), test::value("c", DType::f32)}, {"y"},
                        {Initializer("b", b)}),
            {.pool = nullptr, .threads = 2});
        ASSERT_TRUE(session);
        const std::vector<Feed> feeds = {{"a", a}, {"c", c}};
        auto packed = session->run(feeds);
        ASSERT_TRUE(packed);
        EXPECT_TRUE(same_bytes((*dynamic)[0], (*packed)[0])) << ta << tb;
        for (int64_t i = 0; i < 7; ++i) {
          for (int64_t j = 0; j < 33; ++j) {
            double sum = c.data<float>()[c_shape == Shape{33}      ? j
                                         : c_shape == Shape{7, 1}  ? i
                                         : c_shape == Shape{7, 33} ? i * 33 + j
                                                                   : 0];
            for (int64_t p = 0; p < 20; ++p) {
              sum += static_cast<double>(a.data<float>()[ta != 0 ? p * 7 + i : i * 20 + p]) *
                     b.data<float>()[tb != 0 ? j * 20 + p : p * 33 + j];
            }
            EXPECT_NEAR((*packed)[0].data<float>()[i * 33 + j], sum, 1e-5);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace octavo
