#include "graph/builder.h"

#include <gtest/gtest.h>

#include "graph/functions.h"
#include "graph/inline.h"

namespace octavo {
namespace {

const std::vector<Dim> kShape = {"batch", int64_t{8}};

std::vector<std::string> node_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const auto& n : graph.nodes) names.push_back(n.name);
  return names;
}

TEST(GraphBuilder, NamesNodesAfterScopes) {
  GraphBuilder b("test");
  const Value x = b.input("x", DType::f32, kShape);
  Value y = x + x;
  {
    const auto layer = b.scope("layers.0");
    const auto mlp = b.scope("mlp");
    y = y * x;
    y = y * x;
  }
  b.output(y - x, "y", DType::f32, kShape);
  const Model m = std::move(b).finish(17);
  EXPECT_TRUE(check(m));
  EXPECT_EQ(node_names(m.graph),
            (std::vector<std::string>{"/Add", "/layers.0/mlp/Mul", "/layers.0/mlp/Mul_1", "/Sub"}));
  EXPECT_EQ(m.graph.nodes[1].outputs[0], "/layers.0/mlp/Mul_output_0");
  EXPECT_EQ(m.graph.nodes[3].outputs[0], "y");
  EXPECT_EQ(m.opset(), 17);
}

TEST(GraphBuilder, EqualConstantsAreOneInitializer) {
  GraphBuilder b("test");
  const Value x = b.input("x", DType::f32, kShape);
  EXPECT_EQ((b.scalar(0.1F)).name, "/constants/f32_0.100000001");
  b.scalar(int64_t{1});
  b.ints({1});  // a list of one is not a scalar
  b.ints({1, 2});
  b.scalar(0.1F);
  b.ints({1, 2});
  b.constant(Tensor::of<int64_t>({2, 1}, {1, 2}));
  b.constant(Tensor::of<int64_t>({2, 1}, {1, 3}));  // named after its shape: needs a second name
  b.constant(Tensor::of<int64_t>({2, 1}, {1, 3}));
  b.output(x + 0.1F, "y", DType::f32, kShape);
  const Model m = std::move(b).finish(17);
  EXPECT_TRUE(check(m));
  std::vector<std::string> names;
  for (const auto& i : m.graph.initializers) names.push_back(i.name());
  EXPECT_EQ(names, (std::vector<std::string>{"/constants/f32_0.100000001", "/constants/i64_1",
                                             "/constants/i64_1x_1", "/constants/i64_1_2",
                                             "/constants/i64_2x1", "/constants/i64_2x1.1"}));
}

TEST(GraphBuilder, TiedWeightsAreOneInitializer) {
  GraphBuilder b("test");
  const Initializer w("w", Tensor::of<float>({1}, {2}));
  const Value x = b.input("x", DType::f32, kShape);
  b.output(x * b.initializer(w) + b.initializer(w), "y", DType::f32, kShape);
  EXPECT_EQ(std::move(b).finish(17).graph.initializers.size(), 1U);
}

TEST(Functions, EveryBodyStandsAlone) {
  ASSERT_FALSE(functions::all().empty());
  for (const auto& f : functions::all()) {
    SCOPED_TRACE(f.name);
    EXPECT_EQ(functions::find(f.name), &f);
    Graph body;
    for (const auto& in : f.inputs)
      body.inputs.push_back({.name = in, .dtype = DType::f32, .shape = {}, .opaque = {}});
    for (const auto& out : f.outputs)
      body.outputs.push_back({.name = out, .dtype = DType::f32, .shape = {}, .opaque = {}});
    body.nodes = f.nodes;
    Model m;
    m.opset_imports = f.opset_imports;
    m.graph = body;
    const auto ok = check(m);
    EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
    for (const auto& node : f.nodes) EXPECT_TRUE(node.domain.empty()) << node.op_type;
  }
  EXPECT_EQ(functions::find("NoSuchOp"), nullptr);
}

TEST(Functions, ACallCarriesItsDefinitionOnce) {
  GraphBuilder b("test");
  const Value x = b.input("x", DType::f32, kShape);
  const Value w = b.initializer({"w", Tensor::of<float>({1}, {2})});
  const auto scope = b.scope("norm");
  const Value y = functions::rms_norm(x, w, 1e-6F);
  b.output(functions::rms_norm(y, w, 1e-5F), "y", DType::f32, kShape);
  Model m = std::move(b).finish(17);
  ASSERT_EQ(m.functions.size(), 1U);
  EXPECT_EQ(m.opset_imports.at("ai.octavo"), 1);
  ASSERT_TRUE(inline_functions(m));
  EXPECT_TRUE(check(m));
  EXPECT_TRUE(m.functions.empty());
  EXPECT_FALSE(m.opset_imports.contains("ai.octavo"));
  // The last node multiplies by the gain: smoothing folds there.
  EXPECT_EQ(m.graph.nodes.back().op_type, "Mul");
  EXPECT_EQ(m.graph.nodes.back().name, "/norm/RMSNorm_1/Mul");
  EXPECT_EQ(m.graph.nodes.back().inputs[1], "w");
  EXPECT_EQ(m.graph.nodes.back().outputs[0], "y");
  std::vector<float> epsilons;
  for (const auto& n : m.graph.nodes) {
    if (n.has("value_float")) epsilons.push_back(n.float_or("value_float", 0));
  }
  EXPECT_EQ(epsilons, (std::vector<float>{1e-6F, 1e-5F}));
}

}  // namespace
}  // namespace octavo
