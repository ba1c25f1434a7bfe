#include "graph/split.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/builder.h"

namespace octavo {
namespace {

constexpr int64_t kWidth = 8;
constexpr size_t kWeight = kWidth * kWidth * sizeof(float);

Value weight(GraphBuilder& b, const std::string& name) {
  return b.initializer(Initializer(
      name, Tensor::of<float>({kWidth, kWidth}, std::vector<float>(kWidth * kWidth, 0.5F))));
}

std::vector<std::string> names(const std::vector<ValueInfo>& values) {
  std::vector<std::string> out;
  for (const ValueInfo& v : values) out.push_back(v.name);
  std::sort(out.begin(), out.end());
  return out;
}

// Residual layers of three weights: inside one, two values cross a cut, between two, one does.
Model residual(int layers) {
  GraphBuilder b("residual");
  Value x = b.input("x", DType::f32, {"n", kWidth});
  for (int i = 0; i < layers; ++i) {
    const std::string at = "w" + std::to_string(i);
    Value y = x;
    for (const char* which : {"a", "b", "c"})
      y = b.op("Relu", {b.op("MatMul", {y, weight(b, at + which)})});
    x = x + y;
  }
  b.output(x, "out", DType::f32, {"n", kWidth});
  return std::move(b).finish(17);
}

TEST(Split, CutsBetweenLayers) {
  // Five weights fit; a cut after three, at the end of a layer, has fewer values crossing.
  const auto parts = split_by_weights(residual(4), 5 * kWeight);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 4U);
  for (size_t p = 0; p < 4; ++p) {
    const Graph& graph = (*parts)[p].model.graph;
    EXPECT_EQ(graph.initializers.size(), 3U);
    EXPECT_EQ(graph.inputs.size(), 1U);
    EXPECT_EQ(graph.outputs.size(), 1U);
    // Only the types of the whole graph's own inputs are known.
    EXPECT_EQ(graph.inputs[0].dtype, p == 0 ? DType::f32 : DType::undefined);
    if (p > 0) {
      EXPECT_EQ(names(graph.inputs), names((*parts)[p - 1].model.graph.outputs));
    }
  }
  EXPECT_EQ(parts->back().model.graph.outputs[0].name, "out");
}

TEST(Split, LeavesASmallModelAsItIs) {
  const auto parts = split_by_weights(residual(2), 6 * kWeight);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 1U);
  EXPECT_EQ(parts->front().model.graph.nodes.size(), 14U);
  EXPECT_EQ(parts->front().made.size(), 14U);
}

TEST(Split, RepeatsWhatDependsOnConstantsOnly) {
  GraphBuilder b("tied");
  const Value x = b.input("x", DType::f32, {"n", kWidth});
  const Value turned = b.op("Transpose", {weight(b, "w")});
  const Value y = b.op("MatMul", {x, turned});
  const Value z = b.op("MatMul", {y, weight(b, "v")});
  const Value u = b.op("MatMul", {z, turned});
  b.output(u, "u", DType::f32, {"n", kWidth});
  b.output(turned, "turned", DType::f32, {kWidth, kWidth});
  const auto parts = split_by_weights(std::move(b).finish(17), 1);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 3U);
  std::vector<std::string> made;
  for (const size_t p : {0U, 2U}) {
    const auto& nodes = (*parts)[p].model.graph.nodes;
    EXPECT_EQ(std::count_if(nodes.begin(), nodes.end(),
                            [](const Node& n) { return n.op_type == "Transpose"; }),
              1);
  }
  for (const GraphPart& part : *parts) made.insert(made.end(), part.made.begin(), part.made.end());
  std::sort(made.begin(), made.end());
  EXPECT_EQ(std::adjacent_find(made.begin(), made.end()), made.end()) << "made by two parts";
  EXPECT_EQ(made.size(), 4U);
  // A constant that leaves the graph leaves it at the end.
  EXPECT_EQ(names((*parts)[2].model.graph.outputs), (std::vector<std::string>{"turned", "u"}));
  for (const GraphPart& part : *parts) EXPECT_TRUE(check(part.model));
}

TEST(Split, CountsASharedWeightOnceAndATableNotAtAll) {
  GraphBuilder b("shared");
  const Value ids = b.input("ids", DType::i64, {"n"});
  const Value table = b.initializer(
      Initializer("table", Tensor::of<float>({1000, kWidth}, std::vector<float>(1000 * kWidth))));
  Value x = b.op("Gather", {table, ids});
  for (int i = 0; i < 6; ++i) x = b.op("MatMul", {x, weight(b, "w")});
  b.output(x, "out", DType::f32, {"n", kWidth});
  const auto parts = split_by_weights(std::move(b).finish(17), kWeight);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->size(), 1U);
}

TEST(Split, CarriesWhatASubgraphReads) {
  Graph branch;
  branch.nodes.push_back({.name = "inner",
                          .op_type = "MatMul",
                          .domain = {},
                          .inputs = {"early", "w2"},
                          .outputs = {"inside"},
                          .attributes = {},
                          .opaque = {}});
  branch.outputs.push_back({"inside", DType::f32, std::nullopt, {}});
  GraphBuilder b("captures");
  const Value x = b.input("x", DType::f32, {"n", kWidth});
  const Value flag = b.input("flag", DType::boolean, {});
  const Value early = b.op("MatMul", {x, weight(b, "w0")});
  const Value late = b.op("MatMul", {early, weight(b, "w1")});
  weight(b, "w2");
  const auto body = std::make_shared<Graph>(branch);
  const Value chosen = b.op("If", {flag}, {{"then_branch", body}, {"else_branch", body}});
  b.output(chosen + late, "out", DType::f32, {"n", kWidth});
  Model model = std::move(b).finish(17);
  for (ValueInfo& v : branch.outputs) v.name = "inside";
  for (auto& n : body->nodes) n.inputs[0] = early.name;
  const auto parts = split_by_weights(model, 1);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 3U);
  const auto inputs = names(parts->back().model.graph.inputs);
  EXPECT_NE(std::find(inputs.begin(), inputs.end(), early.name), inputs.end());
  EXPECT_NE(std::find(inputs.begin(), inputs.end(), "flag"), inputs.end());
  EXPECT_NE(parts->back().model.graph.find_initializer("w2"), nullptr);
  for (const GraphPart& part : *parts) EXPECT_TRUE(check(part.model));
}

}  // namespace
}  // namespace octavo
