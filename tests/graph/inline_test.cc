#include "graph/inline.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

using Names = std::vector<std::string>;

Node node(std::string op, Names in, Names out, std::string name = "") {
  Node n;
  n.op_type = std::move(op);
  n.name = std::move(name);
  n.inputs = std::move(in);
  n.outputs = std::move(out);
  return n;
}

Node call(std::string op, Names in, Names out, std::string name = "") {
  Node n = node(std::move(op), std::move(in), std::move(out), std::move(name));
  n.domain = "local";
  return n;
}

Function function(std::string name, Names in, Names out, std::vector<Node> nodes) {
  Function f;
  f.domain = "local";
  f.name = std::move(name);
  f.inputs = std::move(in);
  f.outputs = std::move(out);
  f.nodes = std::move(nodes);
  f.opset_imports[""] = 17;
  return f;
}

Model model(std::vector<Node> nodes, std::vector<Function> functions) {
  Model m;
  m.opset_imports[""] = 17;
  m.opset_imports["local"] = 1;
  m.graph.inputs.push_back({.name = "x", .dtype = DType::f32, .shape = {}, .opaque = {}});
  m.graph.outputs.push_back({.name = "y", .dtype = DType::f32, .shape = {}, .opaque = {}});
  m.graph.nodes = std::move(nodes);
  m.functions = std::move(functions);
  return m;
}

std::string text(const Graph& graph) {
  std::string s;
  for (const auto& n : graph.nodes) {
    s += n.op_type + "(";
    for (size_t i = 0; i < n.inputs.size(); ++i) s += (i == 0 ? "" : ",") + n.inputs[i];
    s += ")->";
    for (size_t i = 0; i < n.outputs.size(); ++i) s += (i == 0 ? "" : ",") + n.outputs[i];
    s += " ";
  }
  return s;
}

void expect_flat(Model m, const std::string& expected) {
  const auto done = inline_functions(m);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(text(m.graph), expected);
  const auto ok = check(m);
  EXPECT_TRUE(ok) << ok.error().message;
  EXPECT_TRUE(m.functions.empty());
  EXPECT_FALSE(m.opset_imports.contains("local"));
}

TEST(Inline, NestedCallsKeepTheirPlace) {
  const auto inner = function("Inner", {"a"}, {"b"},
                              {node("Neg", {"a"}, {"t"}, "neg"), node("Abs", {"t"}, {"b"})});
  const auto outer =
      function("Outer", {"a"}, {"c"},
               {call("Inner", {"a"}, {"b"}, "first"), call("Inner", {"b"}, {"c"}, "second")});
  Model m = model({call("Outer", {"x"}, {"y"}, "/top")}, {inner, outer});
  expect_flat(m,
              "Neg(x)->/top/first/t Abs(/top/first/t)->/top/b "
              "Neg(/top/b)->/top/second/t Abs(/top/second/t)->y ");
  ASSERT_TRUE(inline_functions(m));
  EXPECT_EQ(m.graph.nodes[0].name, "/top/first/neg");
  EXPECT_EQ(m.graph.nodes[1].name, "/top/first/Abs");
}

TEST(Inline, NamesStayUnique) {
  const auto f =
      function("F", {"a"}, {"b"}, {node("Neg", {"a"}, {"t"}), node("Abs", {"t"}, {"b"})});
  // Unnamed calls share a prefix, and the graph has a value of the name they would take.
  expect_flat(
      model({node("Relu", {"x"}, {"F/t"}), call("F", {"F/t"}, {"z"}), call("F", {"z"}, {"y"})},
            {f}),
      "Relu(x)->F/t Neg(F/t)->F/t_1 Abs(F/t_1)->z Neg(z)->F/t_2 Abs(F/t_2)->y ");
}

TEST(Inline, OptionalInputsAndOutputs) {
  const auto f = function("F", {"a", "lo", "hi"}, {"b", "c"},
                          {node("Clip", {"a", "lo", "hi"}, {"b"}), node("Neg", {"b"}, {"c"})});
  expect_flat(model({call("F", {"x", "", "x"}, {"y"}, "f")}, {f}), "Clip(x,,x)->y Neg(y)->f/c ");
  expect_flat(model({call("F", {"x"}, {"", "y"}, "f")}, {f}), "Clip(x,,)->f/b Neg(f/b)->y ");
}

TEST(Inline, InputsThatLeaveAndValuesThatLeaveTwice) {
  expect_flat(model({call("F", {"x"}, {"y"}, "f")}, {function("F", {"a"}, {"a"}, {})}),
              "Identity(x)->y ");
  expect_flat(model({call("F", {"x"}, {"z", "w"}, "f"), node("Add", {"z", "w"}, {"y"})},
                    {function("F", {"a"}, {"b", "b"}, {node("Neg", {"a"}, {"b"})})}),
              "Neg(x)->z Identity(z)->w Add(z,w)->y ");
}

TEST(Inline, BodiesInAnyOrder) {
  const auto f =
      function("F", {"a"}, {"b"}, {node("Abs", {"t"}, {"b"}), node("Neg", {"a"}, {"t"})});
  expect_flat(model({call("F", {"x"}, {"y"}, "f")}, {f}), "Abs(f/t)->y Neg(x)->f/t ");
}

TEST(Inline, AttributesOfTheCallThenDefaultsThenNone) {
  Node body = node("LeakyRelu", {"a"}, {"b"});
  body.attributes["alpha"] = AttributeReference{"slope", 1};
  Function f = function("F", {"a"}, {"b"}, {body});
  Node given = call("F", {"x"}, {"y"});
  given.attributes["slope"] = 0.5F;

  Model m = model({given}, {f});
  ASSERT_TRUE(inline_functions(m));
  EXPECT_EQ(m.graph.nodes[0].float_or("alpha", 0), 0.5F);
  m = model({call("F", {"x"}, {"y"})}, {f});
  ASSERT_TRUE(inline_functions(m));
  EXPECT_FALSE(m.graph.nodes[0].has("alpha"));
  f.attribute_defaults["slope"] = 0.25F;
  m = model({call("F", {"x"}, {"y"})}, {f});
  ASSERT_TRUE(inline_functions(m));
  EXPECT_EQ(m.graph.nodes[0].float_or("alpha", 0), 0.25F);
  m = model({given}, {f});
  ASSERT_TRUE(inline_functions(m));
  EXPECT_EQ(m.graph.nodes[0].float_or("alpha", 0), 0.5F);
}

TEST(Inline, AttributesPassThroughNestedCalls) {
  Node body = node("LeakyRelu", {"a"}, {"b"});
  body.attributes["alpha"] = AttributeReference{"slope", 1};
  Node forward = call("F", {"a"}, {"b"});
  forward.attributes["slope"] = AttributeReference{"steepness", 1};
  Node given = call("G", {"x"}, {"y"});
  given.attributes["steepness"] = 0.5F;
  Model m =
      model({given}, {function("F", {"a"}, {"b"}, {body}), function("G", {"a"}, {"b"}, {forward})});
  ASSERT_TRUE(inline_functions(m));
  EXPECT_EQ(m.graph.nodes[0].float_or("alpha", 0), 0.5F);
}

TEST(Inline, SubgraphsOfBodiesAndOfTheGraph) {
  const auto branch = [](std::vector<Node> nodes, const std::string& out) {
    auto g = std::make_shared<Graph>();
    g->nodes = std::move(nodes);
    g->outputs.push_back({.name = out, .dtype = DType::f32, .shape = {}, .opaque = {}});
    return g;
  };
  // The body has an If whose branch captures a function input and refers to an attribute.
  Node inner = node("LeakyRelu", {"a"}, {"t"});
  inner.attributes["alpha"] = AttributeReference{"slope", 1};
  Node choose = node("If", {"a"}, {"b"});
  choose.attributes["then_branch"] = branch({inner}, "t");
  const Function f = function("F", {"a"}, {"b"}, {choose});
  Node given = call("F", {"x"}, {"z"}, "f");
  given.attributes["slope"] = 0.5F;
  // The graph has an If with a call in its branch.
  Node outer = node("If", {"z"}, {"y"});
  outer.attributes["then_branch"] = branch({call("F", {"z"}, {"u"}, "g")}, "u");
  Model m = model({given, outer}, {f});
  ASSERT_TRUE(inline_functions(m));
  const auto ok = check(m);
  EXPECT_TRUE(ok) << ok.error().message;
  const auto& first = *std::get<std::shared_ptr<Graph>>(m.graph.nodes[0].attributes["then_branch"]);
  EXPECT_EQ(text(first), "LeakyRelu(x)->f/t ");
  EXPECT_EQ(first.outputs[0].name, "f/t");
  EXPECT_EQ(first.nodes[0].float_or("alpha", 0), 0.5F);
  const auto& second =
      *std::get<std::shared_ptr<Graph>>(m.graph.nodes[1].attributes["then_branch"]);
  EXPECT_EQ(text(second), "If(z)->u ");
  // The definition's own graphs are shared with every copy of the model: they must not change.
  const auto& original = *std::get<std::shared_ptr<Graph>>(f.nodes[0].attributes.at("then_branch"));
  EXPECT_EQ(text(original), "LeakyRelu(a)->t ");
  EXPECT_TRUE(std::holds_alternative<AttributeReference>(original.nodes[0].attributes.at("alpha")));
}

TEST(Inline, Refuses) {
  const auto neg = node("Neg", {"a"}, {"b"});
  struct Case {
    std::string what;
    std::vector<Function> functions;
    Node node;
    Code code;
  };
  Function newer = function("F", {"a"}, {"b"}, {neg});
  newer.opset_imports[""] = 18;
  const std::vector<Case> cases = {
      {"calls itself",
       {function("F", {"a"}, {"b"}, {call("G", {"a"}, {"b"})}),
        function("G", {"a"}, {"b"}, {call("F", {"a"}, {"b"})})},
       call("F", {"x"}, {"y"}),
       Code::invalid_input},
      {"opset 18", {newer}, call("F", {"x"}, {"y"}), Code::unsupported},
      {"2 inputs",
       {function("F", {"a"}, {"b"}, {neg})},
       call("F", {"x", "x"}, {"y"}),
       Code::invalid_input},
      {"overloads",
       {function("F", {"a"}, {"b"}, {neg}), function("F", {"a"}, {"b"}, {neg})},
       call("F", {"x"}, {"y"}),
       Code::unsupported},
      {"reads \"x\"",
       {function("F", {"a"}, {"b"}, {node("Neg", {"x"}, {"b"})})},
       call("F", {"x"}, {"y"}),
       Code::invalid_input},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Model m = model({c.node}, c.functions);
    const auto done = inline_functions(m);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, c.code);
    EXPECT_NE(done.error().message.find(c.what), std::string::npos) << done.error().message;
  }
}

TEST(Inline, ExpansionIsBounded) {
  // f0 calls f1 twice, f1 calls f2 twice, ...: 2^30 empty bodies.
  std::vector<Function> functions;
  for (int i = 0; i < 30; ++i) {
    const std::string next = "f" + std::to_string(i + 1);
    functions.push_back(function("f" + std::to_string(i), {"a"}, {"b"},
                                 {call(next, {"a"}, {"t"}), call(next, {"t"}, {"b"})}));
  }
  functions.push_back(function("f30", {"a"}, {"a"}, {}));
  Model m = model({call("f0", {"x"}, {"y"})}, functions);
  const auto done = inline_functions(m);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unsupported);
}

}  // namespace
}  // namespace octavo
