// The fused attention ops against a naive sum in double, and what no oracle shows: a query's bits
// do not depend on later tokens, on other texts of the batch, or on the threads.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/random.h"
#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::Random;

constexpr int64_t kHeads = 4, kKvHeads = 2, kSize = 16;

struct Texts {
  int64_t batch;
  int64_t tokens;
  Tensor q, k, v;

  Texts(int64_t b, int64_t s, uint64_t seed) : batch(b), tokens(s) {
    Random random(seed);
    q = fill(random, kHeads);
    k = fill(random, kKvHeads);
    v = fill(random, kKvHeads);
  }
  Tensor fill(Random& random, int64_t heads) const {
    return Tensor::of<float>({batch, tokens, heads * kSize},
                             random.floats(static_cast<size_t>(batch * tokens * heads * kSize)));
  }
};

Tensor ints(const Shape& shape, const std::vector<int32_t>& values) {
  return Tensor::of<int32_t>(shape, values);
}

// GroupQueryAttention without a past.
Result<Tensor> grouped(const Texts& t, std::map<std::string, Attribute> more = {},
                       int threads = 2) {
  more["num_heads"] = kHeads;
  more["kv_num_heads"] = kKvHeads;
  Node n = node("GroupQueryAttention", {"q", "k", "v", "", "", "lengths", "total"}, {"y"}, more);
  n.domain = "com.microsoft";
  Model model = test::model(
      {n},
      {test::value("q", DType::f32), test::value("k", DType::f32), test::value("v", DType::f32),
       test::value("lengths", DType::i32), test::value("total", DType::i32)},
      {"y"});
  model.opset_imports["com.microsoft"] = 1;
  OCTAVO_TRY(const Session session,
             Session::create(std::move(model), {.pool = nullptr, .threads = threads}));
  const auto last = static_cast<int32_t>(t.tokens - 1);
  const std::vector<Feed> feeds = {
      {"q", t.q},
      {"k", t.k},
      {"v", t.v},
      {"lengths", ints({t.batch}, std::vector<int32_t>(static_cast<size_t>(t.batch), last))},
      {"total", ints({}, {last + 1})}};
  OCTAVO_TRY(auto results, session.run(feeds));
  return results[0];
}

// What the definition says, in double. window < 0: all earlier tokens.
std::vector<double> naive(const Texts& t, int64_t window) {
  std::vector<double> y(static_cast<size_t>(t.batch * t.tokens * kHeads * kSize));
  const double scale = 1 / std::sqrt(static_cast<double>(kSize));
  for (int64_t b = 0; b < t.batch; ++b) {
    for (int64_t h = 0; h < kHeads; ++h) {
      const int64_t kv = h / (kHeads / kKvHeads);
      for (int64_t i = 0; i < t.tokens; ++i) {
        const float* q = t.q.data<float>() + ((b * t.tokens + i) * kHeads + h) * kSize;
        const int64_t from = window < 0 ? 0 : std::max<int64_t>(0, i + 1 - window);
        std::vector<double> p;
        double top = -std::numeric_limits<double>::infinity();
        for (int64_t j = from; j <= i; ++j) {
          const float* k = t.k.data<float>() + ((b * t.tokens + j) * kKvHeads + kv) * kSize;
          double s = 0;
          for (int64_t d = 0; d < kSize; ++d) s += static_cast<double>(q[d]) * k[d];
          p.push_back(s * scale);
          top = std::max(top, p.back());
        }
        double sum = 0;
        for (double& x : p) sum += x = std::exp(x - top);
        double* out = y.data() + ((b * t.tokens + i) * kHeads + h) * kSize;
        for (size_t j = 0; j < p.size(); ++j) {
          const float* v =
              t.v.data<float>() +
              ((b * t.tokens + from + static_cast<int64_t>(j)) * kKvHeads + kv) * kSize;
          for (int64_t d = 0; d < kSize; ++d) out[d] += p[j] / sum * v[d];
        }
      }
    }
  }
  return y;
}

TEST(Attention, IsTheFormula) {
  for (const int64_t tokens : {1, 2, 47, 48, 49, 63, 64, 65, 127, 128, 129, 300}) {
    for (const int64_t window : {-1, 1, 5, 48, 1000}) {
      const Texts t(2, tokens, static_cast<uint64_t>(tokens));
      auto y = grouped(t, {{"local_window_size", window}});
      ASSERT_TRUE(y) << y.error().message;
      const auto want = naive(t, window);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(y->data<float>()[i], want[i], 3e-6)
            << "tokens " << tokens << " window " << window << " element " << i;
      }
    }
  }
}

// Whatever comes after token `from` leaves the bytes of the earlier ones alone, be it NaN.
TEST(Attention, NoLeakFromTheFuture) {
  constexpr int64_t kTokens = 150;
  const Texts t(1, kTokens, 1);
  auto want = grouped(t);
  ASSERT_TRUE(want) << want.error().message;
  for (const int64_t from : {1, 31, 32, 47, 48, 100, 149}) {
    Texts changed = t;
    for (Tensor* x : {&changed.k, &changed.v}) {
      *x = *x->clone();
      const auto first = static_cast<size_t>(from * kKvHeads * kSize);
      for (size_t i = first; i < static_cast<size_t>(x->size()); ++i)
        x->mutable_data<float>()[i] = 1e30F;
    }
    auto got = grouped(changed);
    ASSERT_TRUE(got);
    EXPECT_EQ(std::memcmp(got->bytes().data(), want->bytes().data(),
                          static_cast<size_t>(from * kHeads * kSize) * sizeof(float)),
              0)
        << "from " << from;
  }
}

TEST(Attention, NeitherThreadsNorBatchChangeABit) {
  const Texts all(3, 101, 9);
  auto want = grouped(all, {}, 1);
  ASSERT_TRUE(want);
  for (const int threads : {2, 3, 7, 64}) {
    auto got = grouped(all, {}, threads);
    ASSERT_TRUE(got);
    EXPECT_EQ(std::memcmp(got->bytes().data(), want->bytes().data(), want->bytes().size()), 0);
  }
  for (int64_t b = 0; b < all.batch; ++b) {
    Texts one = all;
    one.batch = 1;
    for (Tensor* x : {&one.q, &one.k, &one.v}) {
      const size_t bytes = x->bytes().size() / 3;
      *x = *Tensor::borrow(DType::f32, {1, all.tokens, x->dim(2)},
                           x->bytes().subspan(static_cast<size_t>(b) * bytes, bytes), nullptr);
    }
    auto got = grouped(one);
    ASSERT_TRUE(got);
    EXPECT_EQ(std::memcmp(got->bytes().data(),
                          want->bytes().data() + static_cast<size_t>(b) * got->bytes().size(),
                          got->bytes().size()),
              0);
  }
}

// The causal MultiHeadAttention over the key heads repeated gives the bits of the grouped op.
TEST(Attention, TheTwoOpsAgree) {
  const Texts t(2, 70, 4);
  auto grouped_y = grouped(t);
  ASSERT_TRUE(grouped_y) << grouped_y.error().message;
  const auto repeated = [&](const Tensor& x) {
    Tensor y = *Tensor::make(DType::f32, {t.batch, t.tokens, kHeads * kSize});
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t token = i / (kHeads * kSize);
      const int64_t kv = i / kSize % kHeads / (kHeads / kKvHeads);
      y.mutable_data<float>()[i] = x.data<float>()[(token * kKvHeads + kv) * kSize + i % kSize];
    }
    return y;
  };
  Node n = node("MultiHeadAttention", {"q", "k", "v"}, {"y"},
                {{"num_heads", kHeads}, {"unidirectional", int64_t{1}}});
  n.domain = "com.microsoft";
  Model model = test::model(
      {n},
      {test::value("q", DType::f32), test::value("k", DType::f32), test::value("v", DType::f32)},
      {"y"});
  model.opset_imports["com.microsoft"] = 1;
  auto session = Session::create(std::move(model), {});
  ASSERT_TRUE(session) << session.error().message;
  const std::vector<Feed> feeds = {{"q", t.q}, {"k", repeated(t.k)}, {"v", repeated(t.v)}};
  auto y = session->run(feeds);
  ASSERT_TRUE(y) << y.error().message;
  EXPECT_EQ(
      std::memcmp((*y)[0].bytes().data(), grouped_y->bytes().data(), grouped_y->bytes().size()), 0);
}

TEST(Attention, RefusesLengthsThatLie) {
  const Texts t(1, 5, 1);
  for (const auto& [length, total] : {std::pair{5, 5}, {-1, 5}, {4, 4}, {9, 10}}) {
    Node n = node("GroupQueryAttention", {"q", "k", "v", "", "", "lengths", "total"}, {"y"},
                  {{"num_heads", kHeads}, {"kv_num_heads", kKvHeads}});
    n.domain = "com.microsoft";
    Model model = test::model(
        {n},
        {test::value("q", DType::f32), test::value("k", DType::f32), test::value("v", DType::f32),
         test::value("lengths", DType::i32), test::value("total", DType::i32)},
        {"y"});
    model.opset_imports["com.microsoft"] = 1;
    auto session = Session::create(std::move(model), {});
    ASSERT_TRUE(session) << session.error().message;
    const std::vector<Feed> feeds = {{"q", t.q},
                                     {"k", t.k},
                                     {"v", t.v},
                                     {"lengths", ints({1}, {length})},
                                     {"total", ints({}, {total})}};
    EXPECT_FALSE(session->run(feeds)) << length << " of " << total;
  }
}

}  // namespace
}  // namespace octavo
