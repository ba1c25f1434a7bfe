#include "graph/graph.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

Node node(std::string op, std::vector<std::string> in, std::vector<std::string> out) {
  Node n;
  n.op_type = std::move(op);
  n.inputs = std::move(in);
  n.outputs = std::move(out);
  return n;
}

Model model(std::vector<Node> nodes) {
  Model m;
  m.opset_imports[""] = 17;
  m.graph.inputs.push_back({.name = "x", .dtype = DType::f32, .shape = {}, .opaque = {}});
  m.graph.outputs.push_back({.name = "y", .dtype = DType::f32, .shape = {}, .opaque = {}});
  m.graph.nodes = std::move(nodes);
  return m;
}

TEST(Check, AcceptsNodesInAnyOrder) {
  EXPECT_TRUE(check(model({node("Relu", {"a"}, {"y"}), node("Relu", {"x"}, {"a"})})));
}

TEST(Check, RefusesBrokenGraphs) {
  EXPECT_FALSE(check(model({node("Relu", {"nothing"}, {"y"})})));
  EXPECT_FALSE(check(model({node("Relu", {"x"}, {"z"})})));
  EXPECT_FALSE(check(model({node("Relu", {"x"}, {"y"}), node("Relu", {"x"}, {"y"})})));
  EXPECT_FALSE(check(model({node("", {"x"}, {"y"})})));
  const auto cycle = check(model({node("Relu", {"b"}, {"y"}), node("Add", {"x", "y"}, {"b"})}));
  ASSERT_FALSE(cycle);
  EXPECT_NE(cycle.error().message.find("cycle"), std::string::npos);
}

TEST(Check, SeesIntoSubgraphs) {
  auto body = std::make_shared<Graph>();
  body->nodes.push_back(node("Relu", {"a"}, {"inner"}));
  body->outputs.push_back({.name = "inner", .dtype = DType::f32, .shape = {}, .opaque = {}});
  Node branch = node("If", {"x"}, {"y"});
  branch.attributes["then_branch"] = body;
  EXPECT_FALSE(check(model({branch})));
  // The subgraph's use of "a" also orders the nodes: "a" is listed last but runs first.
  Model ok = model({branch, node("Relu", {"x"}, {"a"})});
  EXPECT_TRUE(check(ok));
  const GraphIndex index(ok.graph);
  ASSERT_EQ(index.uses("a").size(), 1U);
  EXPECT_EQ(index.uses("a")[0].input, GraphIndex::kNone);
  EXPECT_EQ(index.producer("a"), 1U);
}

TEST(Initializer, LazyBytesMustKeepTheirPromise) {
  const Initializer good("w", DType::f32, {2}, [] { return Tensor::of<float>({2}, {1, 2}); });
  EXPECT_EQ(good.tensor()->data<float>()[1], 2.0F);
  const Initializer bad("w", DType::f32, {3}, [] { return Tensor::of<float>({2}, {1, 2}); });
  EXPECT_EQ(bad.tensor().error().code, Code::internal);
}

}  // namespace
}  // namespace octavo
