#include "runtime/session.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <thread>

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::model;
using test::node;
using test::value;
using test::values;

using Floats = std::vector<float>;

Session make(Model m, int threads = 2) {
  auto s = Session::create(std::move(m), {.pool = nullptr, .threads = threads});
  if (!s) ADD_FAILURE() << s.error().message;
  return *std::move(s);
}

Model two_inputs() {
  return model({node("Add", {"x", "y"}, {"s"}), node("Mul", {"s", "x"}, {"p"})},
               {value("x", DType::f32), value("y", DType::f32)}, {"p"});
}

TEST(Session, RunsInAnyNodeOrderAndBroadcasts) {
  Model m = two_inputs();
  std::swap(m.graph.nodes[0], m.graph.nodes[1]);
  const Session s = make(std::move(m));
  const auto out = s.run(std::vector<Feed>{{"x", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})},
                                           {"y", Tensor::of<float>({3}, {10, 20, 30})}});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ((*out)[0].shape(), (Shape{2, 3}));
  EXPECT_EQ(values<float>((*out)[0]), (Floats{11, 44, 99, 56, 125, 216}));
}

TEST(Session, ListsEveryNodeItCannotRun) {
  Node contrib = node("Frobnicate", {"x"}, {"a"});
  contrib.name = "first";
  contrib.domain = "com.example";
  const auto s = Session::create(
      model({contrib, node("NoSuchOp", {"a"}, {"b"}), node("Add", {"b", "b"}, {"c"})},
            {value("x", DType::f32)}, {"c"}));
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().code, Code::unsupported);
  EXPECT_NE(s.error().message.find("com.example.Frobnicate node \"first\""), std::string::npos)
      << s.error().message;
  EXPECT_NE(s.error().message.find("NoSuchOp node making \"b\""), std::string::npos);
  const auto old = Session::create(
      model({node("Add", {"x", "x"}, {"c"})}, {value("x", DType::f32)}, {"c"}, {}, 6));
  ASSERT_FALSE(old);
  EXPECT_NE(old.error().message.find("opset 6"), std::string::npos) << old.error().message;
}

TEST(Session, RefusesWrongFeeds) {
  Model m = two_inputs();
  m.graph.inputs[0].shape = {{std::string("batch"), int64_t{2}}};
  m.graph.inputs[1].shape = {{std::string("batch"), int64_t{1}}};
  const Session s = make(std::move(m));
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  const Tensor y = Tensor::of<float>({2, 1}, {1, 2});
  const struct {
    std::vector<Feed> feeds;
    const char* complaint;
  } cases[] = {
      {{{"x", x}}, "\"y\" is missing"},
      {{{"x", x}, {"y", y}, {"z", y}}, "no input \"z\""},
      {{{"x", x}, {"x", x}, {"y", y}}, "fed twice"},
      {{{"x", x}, {"y", Tensor::of<int64_t>({2, 1}, {1, 2})}}, "is int64, the model takes float32"},
      {{{"x", y}, {"y", y}}, "the model takes [batch, 2]"},
      {{{"x", x}, {"y", Tensor::of<float>({3, 1}, {1, 2, 3})}}, "its dimension batch is 3"},
      {{{"x", Tensor::of<float>({2}, {1, 2})}, {"y", y}}, "has shape [2]"},
  };
  for (const auto& c : cases) {
    const auto out = s.run(c.feeds);
    ASSERT_FALSE(out) << c.complaint;
    EXPECT_NE(out.error().message.find(c.complaint), std::string::npos) << out.error().message;
  }
  EXPECT_TRUE(s.run(std::vector<Feed>{{"x", x}, {"y", y}}));
}

TEST(Session, NamesTheNodeThatFailed) {
  const Session s = make(two_inputs());
  const auto out = s.run(std::vector<Feed>{{"x", Tensor::of<float>({2}, {1, 2})},
                                           {"y", Tensor::of<float>({3}, {1, 2, 3})}});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().message, "Add node making \"s\": shapes do not broadcast: [2] and [3]");
}

// A value that is read again later must not be overwritten by an op that works in place.
TEST(Session, WorksInPlaceOnlyOnWhatDies) {
  std::vector<Node> nodes;
  std::string at = "x";
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    nodes.push_back(node("Add", {at, "one"}, {"a" + n}));
    nodes.push_back(node("Mul", {"a" + n, "a" + n}, {"b" + n}));  // a is needed once more below
    nodes.push_back(node("Sub", {"b" + n, "a" + n}, {"c" + n}));
    at = "c" + n;
  }
  const Session s = make(model(std::move(nodes), {value("x", DType::f32)}, {at, "a2"},
                               {Initializer("one", Tensor::scalar(0.5F))}));
  const Tensor x = Tensor::of<float>({3}, {0.25F, -0.5F, 0.125F});
  const auto out = s.run(std::vector<Feed>{{"x", x}});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(values<float>(x), (Floats{0.25F, -0.5F, 0.125F}));
  Floats want(3), want_a2(3);
  for (size_t i = 0; i < 3; ++i) {
    float v = x.data<float>()[i];
    for (int round = 0; round < 6; ++round) {
      const float a = v + 0.5F;
      if (round == 2) want_a2[i] = a;
      v = a * a - a;
    }
    want[i] = v;
  }
  EXPECT_EQ(values<float>((*out)[0]), want);
  EXPECT_EQ(values<float>((*out)[1]), want_a2);
}

TEST(Session, ReturnsAndShowsAnyValue) {
  const Session s =
      make(model({node("Add", {"one", "one"}, {"two"}),  // folded
                  node("Add", {"x", "two"}, {"a"}), node("Mul", {"a", "a"}, {"b"}),
                  node("Sub", {"b", "x"}, {"c"})},
                 {value("x", DType::f32)}, {"c"}, {Initializer("one", Tensor::scalar(1.0F))}));
  std::map<std::string, float> seen;
  RunOptions options;
  options.outputs = {"a", "two", "x", "one"};
  options.watch = {"two", "b", "a", "x"};
  options.tap = [&](const std::string& name, const Tensor& t) -> Status {
    seen[name] = t.data<float>()[0];
    return Done{};
  };
  auto out = s.run(std::vector<Feed>{{"x", Tensor::scalar(3.0F)}}, options);
  ASSERT_TRUE(out) << out.error().message;
  Floats got;
  for (const Tensor& t : *out) got.push_back(t.data<float>()[0]);
  EXPECT_EQ(got, (Floats{5, 2, 3, 1}));
  EXPECT_EQ(seen, (std::map<std::string, float>{{"two", 2}, {"b", 25}, {"a", 5}, {"x", 3}}));

  options.tap = [](const std::string&, const Tensor&) -> Status {
    return Error{Code::io, "enough"};
  };
  EXPECT_EQ(s.run(std::vector<Feed>{{"x", Tensor::scalar(3.0F)}}, options).error().message,
            "enough");
  options.outputs = {"nothing"};
  EXPECT_EQ(s.run(std::vector<Feed>{{"x", Tensor::scalar(3.0F)}}, options).error().code,
            Code::not_found);
}

TEST(Session, ManyThreadsRunAtOnce) {
  const Session s = make(two_inputs());
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i < 200; ++i) {
        const auto n = static_cast<size_t>(i * 7 % 50 + 1);
        const Floats x(n, static_cast<float>(t + 1));
        const Floats y(n, static_cast<float>(i));
        const auto out =
            s.run(std::vector<Feed>{{"x", Tensor::of<float>({static_cast<int64_t>(n)}, x)},
                                    {"y", Tensor::of<float>({static_cast<int64_t>(n)}, y)}});
        const auto want = static_cast<float>((t + 1 + i) * (t + 1));
        if (!out || (*out)[0].data<float>()[n - 1] != want) ++wrong[static_cast<size_t>(t)];
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, (std::vector<int>{0, 0, 0, 0}));
}

TEST(Session, IgnoresAndRestoresTheCallersFloatMode) {
  const unsigned before = _mm_getcsr();
  const unsigned odd = 0x1f80U | 0x8040U | 0x4000U;  // flush to zero, DAZ, round up
  _mm_setcsr(odd);
  const Session s = make(two_inputs(), 3);  // workers start under the odd mode too
  const size_t n = 100000;
  const auto out =
      s.run(std::vector<Feed>{{"x", Tensor::of<float>({static_cast<int64_t>(n)}, Floats(n, 1.0F))},
                              {"y", Tensor::of<float>({1}, {1e-8F})}});
  const auto tiny = s.run(std::vector<Feed>{{"x", Tensor::of<float>({1}, {1e-30F})},
                                            {"y", Tensor::of<float>({1}, {1e-10F})}});
  const unsigned after = _mm_getcsr() & ~0x3fU;  // without the sticky flags
  _mm_setcsr(before);
  EXPECT_EQ(after, odd);
  ASSERT_TRUE(out && tiny);
  for (const float v : values<float>((*out)[0])) ASSERT_EQ(v, 1.0F);   // up would be 1.0000001
  EXPECT_EQ((*tiny)[0].data<float>()[0], 1e-30F * (1e-30F + 1e-10F));  // a subnormal
  EXPECT_NE((*tiny)[0].data<float>()[0], 0.0F);
}

TEST(Session, OwnsWhatItReturns) {
  const Session s = make(model({node("Add", {"one", "one"}, {"two"})}, {value("x", DType::f32)},
                               {"x", "two"}, {Initializer("one", Tensor::scalar(1.0F))}));
  const float mine = 7;
  auto borrowed = Tensor::borrow(
      DType::f32, {}, {reinterpret_cast<const std::byte*>(&mine), sizeof(mine)}, nullptr);
  const auto out = s.run(std::vector<Feed>{{"x", *borrowed}});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_NE((*out)[0].data<float>(), &mine);
  EXPECT_EQ((*out)[0].data<float>()[0], 7.0F);
  EXPECT_EQ((*out)[1].data<float>()[0], 2.0F);
}

}  // namespace
}  // namespace octavo
