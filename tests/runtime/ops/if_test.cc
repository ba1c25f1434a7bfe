// If and Loop: bodies that read values around them, constant conditions, carried values and scans.

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::value;

std::shared_ptr<Graph> graph(std::vector<Node> nodes, const std::vector<std::string>& outputs,
                             std::vector<ValueInfo> inputs = {},
                             std::vector<Initializer> initializers = {}) {
  auto g = std::make_shared<Graph>();
  g->nodes = std::move(nodes);
  g->inputs = std::move(inputs);
  for (const auto& o : outputs) g->outputs.push_back(value(o, DType::f32));
  g->initializers = std::move(initializers);
  return g;
}

float first(const Result<std::vector<Tensor>>& out, size_t i = 0) {
  EXPECT_TRUE(out) << out.error().message;
  return out ? (*out)[i].data<float>()[0] : 0;
}

// y = c ? (x + k) + x : a, where a = -x is made outside and k inside.
Model branching(bool constant_condition, bool condition) {
  auto yes = graph({node("Add", {"x", "k"}, {"t"}), node("Add", {"t", "x"}, {"r"})}, {"r"}, {},
                   {Initializer("k", Tensor::scalar(10.0F))});
  auto no = graph({}, {"a"});
  std::vector<ValueInfo> inputs = {value("x", DType::f32)};
  std::vector<Initializer> constants;
  if (constant_condition) {
    constants.emplace_back("c", Tensor::scalar(condition));
  } else {
    inputs.push_back(value("c", DType::boolean));
  }
  return test::model({node("Neg", {"x"}, {"a"}),
                      node("If", {"c"}, {"y"}, {{"then_branch", yes}, {"else_branch", no}}),
                      node("Mul", {"y", "a"}, {"z"})},
                     std::move(inputs), {"y", "z"}, std::move(constants));
}

TEST(If, TakesTheBranchAtRunTime) {
  const auto s = Session::create(branching(false, false));
  ASSERT_TRUE(s) << s.error().message;
  const Tensor x = Tensor::of<float>({2}, {3, 4});
  const auto yes = s->run(std::vector<Feed>{{"x", x}, {"c", Tensor::scalar(true)}});
  EXPECT_EQ(first(yes), 16.0F);
  EXPECT_EQ(first(yes, 1), -48.0F);
  const auto no = s->run(std::vector<Feed>{{"x", x}, {"c", Tensor::scalar(false)}});
  EXPECT_EQ(first(no), -3.0F);
  EXPECT_EQ(first(no, 1), 9.0F);
}

TEST(If, ConstantConditionsLeaveTheOtherBranchOut) {
  for (const bool condition : {true, false}) {
    Model m = branching(true, condition);
    // What is never run need not be an op we have.
    auto& other = std::get<std::shared_ptr<Graph>>(
        m.graph.nodes[1].attributes[condition ? "else_branch" : "then_branch"]);
    other = graph({node("NoSuchOp", {"x"}, {"q"})}, {"q"});
    const auto s = Session::create(std::move(m));
    ASSERT_TRUE(s) << s.error().message;
    EXPECT_EQ(first(s->run(std::vector<Feed>{{"x", Tensor::scalar(3.0F)}})),
              condition ? 16.0F : -3.0F);
  }
  Model m = branching(false, false);
  std::get<std::shared_ptr<Graph>>(m.graph.nodes[1].attributes["then_branch"]) =
      graph({node("NoSuchOp", {"x"}, {"q"})}, {"q"});
  EXPECT_EQ(Session::create(std::move(m)).error().code, Code::unsupported);
}

TEST(If, Nests) {
  auto inner = graph({node("Add", {"x", "a"}, {"deep"})}, {"deep"});
  auto other = graph({node("Sub", {"x", "a"}, {"flat"})}, {"flat"});
  auto outer =
      graph({node("If", {"d"}, {"r"}, {{"then_branch", inner}, {"else_branch", other}})}, {"r"});
  auto identity = graph({node("Identity", {"x"}, {"same"})}, {"same"});
  const auto s = Session::create(test::model(
      {node("Mul", {"x", "x"}, {"a"}),
       node("If", {"c"}, {"y"}, {{"then_branch", outer}, {"else_branch", identity}})},
      {value("x", DType::f32), value("c", DType::boolean), value("d", DType::boolean)}, {"y"}));
  ASSERT_TRUE(s) << s.error().message;
  const struct {
    bool c, d;
    float want;
  } cases[] = {{true, true, 12}, {true, false, -6}, {false, true, 3}};
  for (const auto& c : cases)
    EXPECT_EQ(
        first(s->run(std::vector<Feed>{
            {"x", Tensor::scalar(3.0F)}, {"c", Tensor::scalar(c.c)}, {"d", Tensor::scalar(c.d)}})),
        c.want);
}

// state *= x each time until it passes `limit`; the states are collected.
Model looping() {
  auto body = graph(
      {node("Mul", {"state_in", "x"}, {"state"}), node("Less", {"state", "limit"}, {"go"}),
       node("Identity", {"state"}, {"seen"})},
      {"go", "state", "seen"},
      {value("i", DType::i64), value("go_in", DType::boolean), value("state_in", DType::f32)});
  body->outputs[0].dtype = DType::boolean;
  return test::model(
      {node("Loop", {"trips", "", "x"}, {"end", "all"}, {{"body", body}})},
      {value("x", DType::f32), value("limit", DType::f32), value("trips", DType::i64)},
      {"end", "all"});
}

TEST(Loop, CarriesAndCollects) {
  const auto s = Session::create(looping());
  ASSERT_TRUE(s) << s.error().message;
  const auto run = [&](int64_t trips) {
    return s->run(std::vector<Feed>{{"x", Tensor::of<float>({1}, {2})},
                                    {"limit", Tensor::of<float>({1}, {100})},
                                    {"trips", Tensor::scalar(trips)}});
  };
  const auto full = run(1000);
  EXPECT_EQ(first(full), 128.0F);
  EXPECT_EQ((*full)[1].shape(), (Shape{6, 1}));
  EXPECT_EQ(test::values<float>((*full)[1]), (std::vector<float>{4, 8, 16, 32, 64, 128}));
  const auto cut = run(2);
  EXPECT_EQ(first(cut), 8.0F);
  EXPECT_EQ((*cut)[1].shape(), (Shape{2, 1}));
  const auto none = run(0);
  EXPECT_EQ(first(none), 2.0F);
  EXPECT_EQ((*none)[1].shape(), (Shape{0}));
}

TEST(Loop, AnErrorInsideNamesBothNodes) {
  Model m = looping();
  m.graph.nodes[0].name = "the_loop";
  const auto s = Session::create(std::move(m));
  ASSERT_TRUE(s) << s.error().message;
  const auto out = s->run(std::vector<Feed>{{"x", Tensor::of<float>({2}, {2, 2})},
                                            {"limit", Tensor::of<float>({3}, {9, 9, 9})},
                                            {"trips", Tensor::scalar<int64_t>(5)}});
  ASSERT_FALSE(out);
  EXPECT_NE(out.error().message.find("the_loop"), std::string::npos) << out.error().message;
  EXPECT_NE(out.error().message.find("Less node"), std::string::npos) << out.error().message;
}

}  // namespace
}  // namespace octavo
