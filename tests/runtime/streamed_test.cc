// A model run in parts gives a Session's bits, and holds one part's weights at a time.

#include "runtime/streamed.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>

#include "runtime/graphs.h"
#include "toolkit/random_encoder.h"

namespace octavo {
namespace {

using test::model;
using test::node;
using test::value;

std::vector<Feed> ids(int64_t rows, int64_t length, int64_t first) {
  std::vector<int64_t> values(static_cast<size_t>(rows * length));
  for (size_t i = 0; i < values.size(); ++i) values[i] = (first + 7 * static_cast<int64_t>(i)) % 30;
  return {{"input_ids", Tensor::of<int64_t>({rows, length}, values)}};
}

void expect_same(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  EXPECT_EQ(std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()), 0) << what;
}

using Seen = std::vector<std::map<std::string, Tensor>>;

TEST(Streamed, GivesTheBitsOfASession) {
  size_t parts = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Model whole = RandomEncoder(seed).make();
    const auto session = Session::create(whole, {.pool = nullptr, .threads = 1});
    ASSERT_TRUE(session) << session.error().message;
    const std::vector<std::vector<Feed>> texts = {ids(1, 5, 3), ids(2, 4, 1), ids(1, 9, 20),
                                                  ids(3, 2, 8), ids(1, 1, 0)};
    std::vector<std::string> watch;
    const GraphIndex index(whole.graph);
    for (const Node& n : whole.graph.nodes) {
      for (const std::string& name : n.outputs)  // a constant that nobody reads is in no part
        if (!index.uses(name).empty() || index.is_graph_output(name)) watch.push_back(name);
    }
    for (const size_t limit : {size_t{1}, size_t{200}, size_t{2000}, size_t{1} << 30U}) {
      const auto streamed = StreamedModel::create(
          whole, {.pool = std::make_shared<ThreadPool>(2), .weight_bytes = limit});
      ASSERT_TRUE(streamed) << streamed.error().message;
      parts += streamed->parts();
      if (limit == 1) {
        EXPECT_GT(streamed->parts(), 5U);
      }
      if (limit == 1U << 30U) {
        EXPECT_EQ(streamed->parts(), 1U);
      }
      Seen seen(texts.size());
      std::vector<std::vector<Tensor>> outputs(texts.size());
      std::mutex mutex;
      StreamedRun run;
      run.texts = texts;
      run.watch = watch;
      run.tap = [&](size_t text, const std::string& name, const Tensor& tensor) -> Status {
        const std::lock_guard lock(mutex);
        EXPECT_FALSE(seen[text].contains(name)) << name << " is shown twice";
        OCTAVO_TRY(seen[text][name], tensor.clone());
        return Done{};
      };
      run.take = [&](size_t text, std::vector<Tensor> made) -> Status {
        outputs[text] = std::move(made);
        return Done{};
      };
      size_t last = 0, total = 0;
      run.progress = [&](size_t done, size_t of) {
        EXPECT_EQ(done, last + 1);
        last = done;
        total = of;
      };
      const Status status = streamed->run(run);
      ASSERT_TRUE(status) << status.error().message;
      EXPECT_EQ(last, total);
      for (size_t t = 0; t < texts.size(); ++t) {
        const auto expected = session->run(texts[t]);
        ASSERT_TRUE(expected);
        ASSERT_EQ(outputs[t].size(), expected->size());
        for (size_t o = 0; o < expected->size(); ++o)
          expect_same(outputs[t][o], (*expected)[o], "output " + std::to_string(o));
        const auto inside =
            session->run(texts[t], {.outputs = watch, .watch = {}, .tap = {}, .times = nullptr});
        ASSERT_TRUE(inside);
        for (size_t v = 0; v < watch.size(); ++v) {
          ASSERT_TRUE(seen[t].contains(watch[v])) << watch[v];
          expect_same(seen[t].at(watch[v]), (*inside)[v], watch[v]);
        }
      }
    }
  }
  EXPECT_GT(parts, 60U * 10U);
}

// Weights that exist only while somebody asks for them, and count how many do.
TEST(Streamed, HoldsTheWeightsOfOnePart) {
  constexpr int64_t kWidth = 64;
  constexpr size_t kLayers = 24;
  const auto alive = std::make_shared<std::atomic<int>>(0);
  int most = 0;
  std::vector<Node> nodes;
  std::vector<Initializer> weights;
  std::string x = "x";
  for (size_t i = 0; i < kLayers; ++i) {
    const std::string name = "w" + std::to_string(i), y = "y" + std::to_string(i);
    weights.emplace_back(name, DType::f32, Shape{kWidth, kWidth}, [alive]() -> Result<Tensor> {
      auto floats = std::shared_ptr<float[]>(new float[kWidth * kWidth](),
                                             [alive](const float* p) { --*alive, delete[] p; });
      ++*alive;
      for (int64_t j = 0; j < kWidth; ++j) floats[j * kWidth + (j + 1) % kWidth] = 1;
      const std::span bytes(reinterpret_cast<const std::byte*>(floats.get()),
                            kWidth * kWidth * sizeof(float));
      return Tensor::borrow(DType::f32, {kWidth, kWidth}, bytes, floats);
    });
    // Read in run() and so never packed: its bytes stay as long as the part's session does.
    nodes.push_back(node("Add", {x, name}, {y}));
    x = y;
  }
  const size_t bytes = kWidth * kWidth * sizeof(float);
  const auto streamed =
      StreamedModel::create(model(nodes, {value("x", DType::f32)}, {x}, weights),
                            {.pool = std::make_shared<ThreadPool>(1), .weight_bytes = 3 * bytes});
  ASSERT_TRUE(streamed) << streamed.error().message;
  EXPECT_EQ(streamed->parts(), kLayers / 3);
  const std::vector<std::vector<Feed>> texts(
      2, {{"x", Tensor::of<float>({1, kWidth}, std::vector<float>(kWidth))}});
  StreamedRun run;
  run.texts = texts;
  for (size_t i = 0; i < kLayers; ++i) run.watch.push_back("y" + std::to_string(i));
  run.tap = [&](size_t, const std::string&, const Tensor&) -> Status {
    most = std::max(most, alive->load());
    return Done{};
  };
  run.take = [&](size_t, std::vector<Tensor> out) -> Status {
    EXPECT_EQ(out[0].data<float>()[1], static_cast<float>(kLayers));
    return Done{};
  };
  ASSERT_TRUE(streamed->run(std::move(run)));
  EXPECT_EQ(most, 3);
  EXPECT_EQ(alive->load(), 0);
}

// Whoever threw it, a thread of the pool or the caller, and soon.
TEST(Streamed, LetsOutWhatProgressThrows) {
  const std::vector<Initializer> weights = {{"a", Tensor::of<float>({2, 2}, {1, 0, 0, 1})}};
  const auto streamed = StreamedModel::create(
      model({node("MatMul", {"x", "a"}, {"y"})}, {value("x", DType::f32)}, {"y"}, weights),
      {.pool = std::make_shared<ThreadPool>(3)});
  ASSERT_TRUE(streamed);
  const std::vector<std::vector<Feed>> texts(500, {{"x", Tensor::of<float>({1, 2}, {1, 2})}});
  for (const bool one_by_one : {false, true}) {
    for (const size_t at : {size_t{1}, size_t{100}, texts.size()}) {
      std::atomic<size_t> ran{0};
      StreamedRun run;
      run.texts = texts;
      run.one_by_one = one_by_one;
      run.take = [&](size_t, const std::vector<Tensor>&) -> Status {
        ++ran;
        return Done{};
      };
      run.progress = [&](size_t done, size_t) {
        if (done == at) throw std::runtime_error("enough");
        EXPECT_LT(done, at);
      };
      EXPECT_THROW((void)streamed->run(run), std::runtime_error);
      EXPECT_GE(ran.load(), at);
      EXPECT_LE(ran.load(), at + 3);  // a text a thread was at work
    }
  }
}

TEST(Streamed, NamesTheTextThatFailsAndTheOpThatIsMissing) {
  const std::vector<Initializer> weights = {
      {"a", Tensor::of<float>({2, 2}, {1, 0, 0, 1})},
      {"b", Tensor::of<float>({2, 2}, {1, 0, 0, 1})},
  };
  const std::vector<Node> nodes = {node("MatMul", {"x", "a"}, {"y"}),
                                   node("MatMul", {"y", "b"}, {"z"})};
  const StreamedOptions small{.pool = std::make_shared<ThreadPool>(1), .weight_bytes = 1};
  const auto streamed =
      StreamedModel::create(model(nodes, {value("x", DType::f32)}, {"z"}, weights), small);
  ASSERT_TRUE(streamed);
  ASSERT_EQ(streamed->parts(), 2U);
  const std::vector<std::vector<Feed>> texts = {{{"x", Tensor::of<float>({1, 2}, {1, 2})}},
                                                {{"x", Tensor::of<float>({1, 3}, {1, 2, 3})}}};
  StreamedRun run;
  run.texts = texts;
  const Status failed = streamed->run(run);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message.find("text 2: MatMul"), 0U) << failed.error().message;

  run.texts = {};
  EXPECT_TRUE(streamed->run(run));

  auto with_missing = nodes;
  with_missing[1].op_type = "NoSuchOp";
  with_missing.push_back(node("MatMul", {"z", "b"}, {"u"}));
  const auto missing =
      StreamedModel::create(model(with_missing, {value("x", DType::f32)}, {"u"}, weights), small);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::unsupported);
  EXPECT_NE(missing.error().message.find("NoSuchOp"), std::string::npos);
}

}  // namespace
}  // namespace octavo
