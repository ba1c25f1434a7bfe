#include "graph/constants.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

Node constant(const std::string& key, Attribute value, const std::string& out) {
  Node n;
  n.op_type = "Constant";
  n.attributes.emplace(key, std::move(value));
  n.outputs = {out};
  return n;
}

Node use(std::vector<std::string> in, const std::string& out) {
  Node n;
  n.op_type = "Sum";
  n.inputs = std::move(in);
  n.outputs = {out};
  return n;
}

TEST(ConstantName, SaysTheContent) {
  const std::vector<std::pair<Tensor, std::string>> cases = {
      {Tensor::scalar(0.5F), "/constants/f32_0.5"},
      {Tensor::scalar(int64_t{-1}), "/constants/i64_-1"},
      {Tensor::of<int64_t>({1}, {-1}), "/constants/i64_1x_-1"},
      {Tensor::of<int64_t>({3}, {0, 0, -1}), "/constants/i64_0_0_-1"},
      {Tensor::of<int64_t>({0}, {}), "/constants/i64_0"},
      {Tensor::of<int64_t>({9}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), "/constants/i64_9"},
      {Tensor::of<float>({1, 2}, {1, 2}), "/constants/f32_1x2"},
      {Tensor::scalar(true), "/constants/bool_true"},
      {Tensor::scalar(uint8_t{7}), "/constants/uint8"},
  };
  for (const auto& [tensor, name] : cases) EXPECT_EQ(constant_name(tensor), name);
}

TEST(HoistConstants, SharesEqualOnesAndRenamesTheirUses) {
  auto branch = std::make_shared<Graph>();
  branch->nodes = {use({"b", "x"}, "inner")};
  branch->outputs = {{.name = "a", .dtype = DType::f32, .shape = {}, .opaque = {}}};
  Node choose = use({"x"}, "z");
  choose.op_type = "If";
  choose.attributes.emplace("then_branch", branch);
  Model m;
  m.opset_imports[""] = 17;
  m.graph.inputs = {{.name = "x", .dtype = DType::f32, .shape = {}, .opaque = {}}};
  m.graph.outputs = {{.name = "y", .dtype = DType::f32, .shape = {}, .opaque = {}},
                     {.name = "out", .dtype = DType::f32, .shape = {}, .opaque = {}}};
  m.graph.nodes = {constant("value_float", 0.5F, "a"),
                   constant("value", Tensor::scalar(0.5F), "b"),
                   constant("value_ints", std::vector<int64_t>{1, 2}, "c"),
                   constant("value_floats", std::vector<float>{0.5F}, "d"),
                   constant("value_int", int64_t{3}, "out"),
                   constant("value_string", std::string("s"), "text"),
                   choose,
                   use({"a", "b", "c", "d", "x", "text"}, "y")};
  hoist_constants(m.graph);
  const auto ok = check(m);
  EXPECT_TRUE(ok) << ok.error().message;
  ASSERT_EQ(m.graph.nodes.size(), 4U);  // the output, the string, the If, the Sum
  EXPECT_EQ(m.graph.nodes.back().inputs,
            (std::vector<std::string>{"/constants/f32_0.5", "/constants/f32_0.5",
                                      "/constants/i64_1_2", "/constants/f32_1x_0.5", "x", "text"}));
  EXPECT_EQ(m.graph.initializers.size(), 3U);
  EXPECT_EQ(m.graph.find_initializer("/constants/i64_1_2")->tensor()->data<int64_t>()[1], 2);
  const auto& renamed =
      *std::get<std::shared_ptr<Graph>>(m.graph.nodes[2].attributes.at("then_branch"));
  EXPECT_EQ(renamed.nodes[0].inputs[0], "/constants/f32_0.5");
  EXPECT_EQ(renamed.outputs[0].name, "/constants/f32_0.5");
  EXPECT_EQ(branch->nodes[0].inputs[0], "b");  // the shared original is untouched
}

}  // namespace
}  // namespace octavo
