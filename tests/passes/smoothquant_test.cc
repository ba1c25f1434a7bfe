#include "passes/smoothquant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "passes/smooth_graphs.h"

namespace octavo {
namespace {

using smooth_test::Graphs;
using smooth_test::kBatch;
using smooth_test::kSequence;

const Shape kHidden = {kBatch, kSequence, 4};

std::vector<float> values_of(const Graph& graph, const std::string& name) {
  const Initializer* i = graph.find_initializer(name);
  EXPECT_NE(i, nullptr) << name;
  if (i == nullptr) return {};
  const auto tensor = i->tensor();
  EXPECT_TRUE(tensor);
  const auto values = tensor->values<float>();
  return {values.begin(), values.end()};
}

// --- the arithmetic ---

TEST(Scale, IsTheFormula) {
  // numpy: np.float32([8, 2, .5])**.8 / np.float32([.25, 1, 4])**.2, in float64, then float32.
  const auto s =
      smoothing_scale(std::vector<float>{8, 2, 0.5F}, std::vector<float>{0.25F, 1, 4}, 0.8);
  EXPECT_FLOAT_EQ(s[0], 6.9644046F);
  EXPECT_FLOAT_EQ(s[1], 1.7411011F);
  EXPECT_FLOAT_EQ(s[2], 0.43527526F);
  // The two ends: all of the difficulty goes to one side.
  EXPECT_FLOAT_EQ(smoothing_scale(std::vector<float>{8}, std::vector<float>{0.25F}, 1)[0], 8);
  EXPECT_FLOAT_EQ(smoothing_scale(std::vector<float>{8}, std::vector<float>{0.25F}, 0)[0], 4);
}

TEST(Scale, LeavesAloneWhatHasNothingToBalance) {
  const float denormal = std::numeric_limits<float>::denorm_min();
  const float infinity = std::numeric_limits<float>::infinity();
  const auto s = smoothing_scale(std::vector<float>{0, 1, denormal, 3, infinity, std::nanf("")},
                                 std::vector<float>{1, 0, 1, denormal, 1, 1}, 0.8);
  for (const float v : s) EXPECT_EQ(v, 1.0F);
  // Finite and normal whatever the input.
  const auto wild =
      smoothing_scale(std::vector<float>{1e-30F, 3e38F}, std::vector<float>{3e38F, 1e-30F}, 0.8);
  EXPECT_EQ(wild[0], 0x1p-20F);
  EXPECT_EQ(wild[1], 0x1p20F);
}

TEST(Scale, TiedChannelsShareTheirMaxima) {
  const std::vector<float> x = {1, 16, 4};
  const std::vector<float> w = {2, 1, 9};
  const std::vector<ChannelTie> ties = {{0, 1}};
  const auto s = smoothing_scale(x, w, 0.5, ties);
  EXPECT_FLOAT_EQ(s[0], std::sqrt(16.0F / 2.0F));
  EXPECT_EQ(s[0], s[1]);
  EXPECT_FLOAT_EQ(s[2], std::sqrt(4.0F / 9.0F));
}

TEST(Absmax, AlongEitherAxis) {
  const Tensor w = Tensor::of<float>({2, 3}, {1, -5, 2, -3, 4, 0});
  EXPECT_EQ(absmax_along(w, 0), (std::vector<float>{5, 4}));
  EXPECT_EQ(absmax_along(w, 1), (std::vector<float>{3, 5, 2}));
}

TEST(Squares, AlongEitherAxis) {
  const Tensor w = Tensor::of<float>({2, 3}, {1, -5, 2, -3, 4, 0});
  EXPECT_EQ(squares_along(w, 0), (std::vector<double>{30, 25}));
  EXPECT_EQ(squares_along(w, 1), (std::vector<double>{10, 41, 4}));
}

TEST(OutlierRatio, IsMaxOverMedian) {
  EXPECT_DOUBLE_EQ(outlier_ratio(std::vector<float>{1, 2, 30, 3, 0}), 10.0);
  EXPECT_DOUBLE_EQ(outlier_ratio(std::vector<float>{0, 0}), 1.0);
}

ScaledEdit edit(const ChannelMap& map, bool multiply, const std::vector<float>& s) {
  return {{0, 0}, map, multiply, std::make_shared<const std::vector<float>>(s)};
}

TEST(ScaleConstant, AppliesEditsInOrder) {
  const Tensor w = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<ScaledEdit> edits = {
      edit({{2, 1}, {1, 0}}, true, {10, 100}),
      edit({{1, 3}, {0, ChannelMap::kUntouched, 1}}, false, {2, 4})};
  const auto out = scale_constant(w, edits);
  ASSERT_TRUE(out);
  const auto values = out->values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()),
            (std::vector<float>{50, 200, 75, 20, 50, 15}));
  // A bias of one number grows into one a channel.
  const auto grown =
      scale_constant(Tensor::of<float>({1}, {6}),
                     std::vector<ScaledEdit>{edit({{3}, {0, 1, 2}}, false, {1, 2, 3})});
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown->shape(), (Shape{3}));
  EXPECT_EQ(grown->data<float>()[2], 2.0F);
  // Three axes, all different.
  const auto cube =
      scale_constant(Tensor::of<float>({2, 2, 2}, {1, 1, 1, 1, 1, 1, 1, 1}),
                     std::vector<ScaledEdit>{edit({{2, 1, 2}, {0, 1, 2, 3}}, true, {2, 3, 4, 5})});
  ASSERT_TRUE(cube);
  const auto c = cube->values<float>();
  EXPECT_EQ(std::vector<float>(c.begin(), c.end()), (std::vector<float>{2, 3, 2, 3, 4, 5, 4, 5}));
}

// --- the groups ---

TEST(Groups, AreMatMulsThatShareAnInput) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  const auto linear = [&](const Value& in, const std::string& name) {
    return g.node("MatMul", {in, g.weight(name, {4, 4})}, kHidden);
  };
  const Value q = linear(x, "q");
  // The other two read it through a Reshape, as Gemm needs; it must be the same group.
  const Value flat = g.node("Reshape", {x, g.b.ints({-1, 4})}, {kSequence, 4});
  g.shapes[flat.name] = {{10, 4}, {21, 4}};
  const Value k = g.b.op("Gemm", {flat, g.weight("k", {4, 4})}, {{"transB", int64_t{1}}});
  const Value v = g.b.op("Gemm", {flat, g.weight("v", {4, 4})});
  g.b.op("Add", {k, v});
  const Value scores = g.node("MatMul", {q, q}, kHidden);
  const Value constant_left = g.b.op("MatMul", {g.weight("left", {4, 4}), scores});
  const Value y = linear(scores, "o");
  g.b.op("Add", {constant_left, constant_left});
  const Model model = g.finish(y);
  const auto found = find_smooth_groups(model.graph, g.shapes);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->groups.size(), 2U);
  EXPECT_EQ(found->groups[0].input, x.name);
  EXPECT_EQ(found->groups[0].channels, 4);
  ASSERT_EQ(found->groups[0].weights.size(), 3U);
  EXPECT_EQ(found->groups[0].weights[0].name, "q");
  EXPECT_EQ(found->groups[0].weights[1].name, "k");
  EXPECT_EQ(found->groups[0].weights[1].axis, 1U);  // transB
  EXPECT_EQ(found->groups[0].weights[2].axis, 0U);
  EXPECT_EQ(found->groups[0].readers.size(), 2U);  // q's MatMul and the Reshape
  EXPECT_EQ(found->groups[1].input, scores.name);
  ASSERT_EQ(found->skipped.size(), 2U);
  EXPECT_EQ(found->skipped[0], "MatMul node \"/MatMul_1\": no operand is constant");
  EXPECT_EQ(found->skipped[1], "MatMul node \"/MatMul_2\": its left operand is constant");
}

TEST(Groups, AReshapeWithOtherReadersIsItsOwnInput) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  const Value flat = g.node("Reshape", {x, g.b.ints({-1, 4})}, {kSequence, 4});
  g.shapes[flat.name] = {{10, 4}, {21, 4}};
  const Value y = g.b.op("Gemm", {flat, g.weight("w", {4, 4})});
  const Model model = g.finish(g.b.op("Add", {y, flat}));
  const auto found = find_smooth_groups(model.graph, g.shapes);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->groups.size(), 1U);
  EXPECT_EQ(found->groups[0].input, flat.name);
}

TEST(Groups, SayWhyAWeightIsLeft) {
  Graphs g;
  const Value x = g.input("x", kHidden);
  const auto half = g.b.initializer(Initializer("half", *Tensor::make(DType::f16, {4, 4})));
  const Value a = g.b.op("MatMul", {x, half});
  const Value b = g.b.op("MatMul", {x, g.weight("batched", {1, 4, 4})});
  const Value shared = g.node("Transpose", {g.weight("shared", {4, 4})}, {4, 4});
  const Value c = g.b.op("MatMul", {x, shared});
  const Value d = g.b.op("Add", {shared, shared});
  const Value scaled =
      g.b.op("MatMul", {x, g.node("Mul", {g.weight("w", {4, 4}), g.b.scalar(2.0F)}, {4, 4})});
  const Value turned =
      g.node("Transpose", {g.weight("turned", {4, 4})}, {4, 4}, {{"perm", Ints{0, 1}}});
  const Value e = g.b.op("MatMul", {x, turned});
  const Model model = g.finish(g.b.op("Sum", {a, b, c, d, scaled, e}));
  const auto found = find_smooth_groups(model.graph, g.shapes);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->groups.empty());
  EXPECT_EQ(found->skipped,
            (std::vector<std::string>{
                "MatMul node \"/MatMul\": its weight is float16",
                "MatMul node \"/MatMul_1\": its weight has 3 axes",
                "MatMul node \"/MatMul_2\": its weight \"/Transpose_output_0\" has other readers",
                "MatMul node \"/MatMul_3\": its weight is computed by Mul node \"/Mul\"",
                "MatMul node \"/MatMul_4\": its weight is not simply transposed by Transpose node "
                "\"/Transpose_1\""}));
}

// --- the rewrite ---

struct Smoothed {
  Model model;
  std::vector<SmoothedGroup> groups;
};

Smoothed smooth(Graphs& g, const Value& y, const std::map<std::string, std::vector<float>>& absmax,
                double alpha = 0.5) {
  Smoothed out{g.finish(y), {}};
  const auto groups = find_smooth_groups(out.model.graph, g.shapes);
  EXPECT_TRUE(groups);
  CalibrationStats stats;
  stats.shapes = g.shapes;
  stats.channel_absmax = absmax;
  auto done = smoothquant(out.model, *groups, stats, alpha);
  EXPECT_TRUE(done) << done.error().message;
  if (done) out.groups = *std::move(done);
  return out;
}

// Weights of row maxima 1, so that s = sqrt(max|X|).
Value unit_rows(Graphs& g, const std::string& name) {
  return g.b.initializer(Initializer(name, Tensor::of<float>({4, 2}, {1, 0, 0, -1, 1, 1, -1, 0})));
}

TEST(SmoothQuant, FoldsInPlace) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  const Value y = g.b.op("MatMul", {x, unit_rows(g, "w")});
  const Smoothed s = smooth(g, y, {{x.name, {1, 4, 16, 64}}});
  ASSERT_EQ(s.groups.size(), 1U);
  EXPECT_EQ(s.groups[0].folded_into, "gain gain");
  EXPECT_EQ(s.groups[0].scale, (std::vector<float>{1, 2, 4, 8}));
  EXPECT_DOUBLE_EQ(s.groups[0].outlier_before, 4.0);
  EXPECT_DOUBLE_EQ(s.groups[0].outlier_after, 2.0);
  EXPECT_EQ(s.model.graph.nodes.size(), 2U);
  EXPECT_EQ(s.model.graph.initializers.size(), 2U);  // no copies
  EXPECT_EQ(values_of(s.model.graph, "gain"), (std::vector<float>{0.5F, -0.5F, 0.375F, -0.25F}));
  EXPECT_EQ(values_of(s.model.graph, "w"), (std::vector<float>{1, 0, 0, -2, 4, 4, -8, 0}));
  EXPECT_TRUE(s.model.graph.find_initializer("w")->lazy());
}

TEST(SmoothQuant, WithAScaleATokenSharesAndSizesTakeThePlaceOfMaxima) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  // Rows of length 13, 1, 2 and 8 over both weights, the largest number 12, 1, 2 and 8.
  const Value a = g.b.op(
      "MatMul", {x, g.b.initializer(Initializer("a", Tensor::of<float>({4, 1}, {5, 1, 0, 0})))});
  const Value b = g.b.op(
      "MatMul", {x, g.b.initializer(Initializer("b", Tensor::of<float>({4, 1}, {-12, 0, 2, -8})))});
  Model model = g.finish(g.b.op("Add", {a, b}));
  const auto groups = find_smooth_groups(model.graph, g.shapes);
  ASSERT_TRUE(groups);
  CalibrationStats stats;
  stats.shapes = g.shapes;
  stats.channel_absmax[x.name] = {1000, 1000, 1000, 1};
  stats.channel_share[x.name] = {4 * std::sqrt(156.0F), 4, 0.5F, 2};
  const auto done = smoothquant(model, *groups, stats, 0.5);
  ASSERT_TRUE(done) << done.error().message;
  const std::vector<float> expected{2, 2, 0.5F, 0.5F};
  for (size_t j = 0; j < 4; ++j) EXPECT_NEAR((*done)[0].scale[j], expected[j], 1e-6) << j;
  EXPECT_DOUBLE_EQ((*done)[0].outlier_before, 1.0);  // of the maxima, as always

  stats.channel_share = {{"another", {1, 1, 1, 1}}};
  const auto missing = smoothquant(model, *groups, stats, 0.5);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::invalid_input);
}

TEST(SmoothQuant, InsertsAMulWhereTheResidualReadsToo) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  const Value up = g.b.op("MatMul", {x, unit_rows(g, "w")});
  const Value y = g.b.op("Concat", {x, up}, {{"axis", int64_t{-1}}});
  const Smoothed s = smooth(g, y, {{x.name, {1, 4, 16, 64}}});
  ASSERT_EQ(s.groups.size(), 1U);
  EXPECT_EQ(s.groups[0].folded_into, "explicit Mul");
  EXPECT_NE(s.groups[0].refusal.find("also feeds Concat"), std::string::npos);
  ASSERT_EQ(s.model.graph.nodes.size(), 4U);
  const Node& mul = s.model.graph.nodes[1];
  EXPECT_EQ(mul.op_type, "Mul");
  EXPECT_EQ(mul.outputs[0], s.groups[0].value);
  EXPECT_EQ(values_of(s.model.graph, mul.inputs[1]), (std::vector<float>{1, 0.5F, 0.25F, 0.125F}));
  EXPECT_EQ(s.model.graph.nodes[2].inputs[0], mul.outputs[0]);
  EXPECT_EQ(s.model.graph.nodes[3].inputs[0], x.name);  // the residual is as it was
  EXPECT_EQ(values_of(s.model.graph, "gain"), (std::vector<float>{0.5F, -1, 1.5F, -2}));
}

TEST(SmoothQuant, CopiesWhatSomethingElseReads) {
  Graphs g;
  // One weight in two groups and in an Add, and one gain in two norms.
  const Value gain = g.weight("gain", {4});
  const Value w = unit_rows(g, "w");
  const Value a = g.node("Mul", {g.input("a", kHidden), gain}, kHidden);
  const Value b = g.node("Mul", {g.input("b", kHidden), gain}, kHidden);
  const Value ya = g.b.op("MatMul", {a, w});
  const Value yb = g.b.op("MatMul", {b, w});
  const Value sum = g.b.op("Add", {w, w});
  const Smoothed s = smooth(g, g.b.op("Sum", {ya, yb, g.b.op("ReduceMax", {sum})}),
                            {{a.name, {1, 4, 16, 64}}, {b.name, {64, 16, 4, 1}}});
  const Graph& graph = s.model.graph;
  ASSERT_EQ(s.groups.size(), 2U);
  EXPECT_EQ(values_of(graph, "w"), (std::vector<float>{1, 0, 0, -1, 1, 1, -1, 0}));
  EXPECT_EQ(values_of(graph, "w_smoothed"), (std::vector<float>{1, 0, 0, -2, 4, 4, -8, 0}));
  EXPECT_EQ(values_of(graph, "w_smoothed_2"), (std::vector<float>{8, 0, 0, -4, 2, 2, -1, 0}));
  // All readers of the gain are edited, so the first takes the name over: nothing dead is left.
  EXPECT_EQ(values_of(graph, "gain"), (std::vector<float>{0.5F, -0.5F, 0.375F, -0.25F}));
  EXPECT_EQ(values_of(graph, "gain_smoothed"), (std::vector<float>{0.0625F, -0.25F, 0.75F, -2}));
  EXPECT_EQ(graph.initializers.size(), 5U);
}

TEST(SmoothQuant, TurnsConstantNodesIntoInitializers) {
  Graphs g;
  const Value gain = g.b.op("Constant", {}, {{"value", Tensor::of<float>({4}, {1, 1, 1, 1})}});
  const Value x = g.node("Mul", {g.input("x", kHidden), gain}, kHidden);
  const Value y = g.b.op("MatMul", {x, unit_rows(g, "w")});
  const Smoothed s = smooth(g, y, {{x.name, {1, 4, 16, 64}}});
  EXPECT_EQ(s.model.graph.nodes.size(), 2U);
  EXPECT_EQ(values_of(s.model.graph, gain.name), (std::vector<float>{1, 0.5F, 0.25F, 0.125F}));
}

TEST(SmoothQuant, TheUpProjectionIsScaledOnBothSides) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  const auto identity = [&](const std::string& name) {
    return g.b.initializer(Initializer(
        name, Tensor::of<float>({4, 4}, {1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1})));
  };
  const Value gate = g.node("MatMul", {x, identity("gate")}, kHidden);
  const Value act = g.node("Mul", {gate, g.node("Sigmoid", {gate}, kHidden)}, kHidden);
  const Value up = g.node("MatMul", {x, identity("up")}, kHidden);
  const Value product = g.node("Mul", {act, up}, kHidden);
  const Smoothed s = smooth(g, g.b.op("MatMul", {product, unit_rows(g, "down")}),
                            {{x.name, {4, 4, 16, 16}}, {product.name, {1, 16, 64, 256}}});
  ASSERT_EQ(s.groups.size(), 2U);
  EXPECT_EQ(s.groups[0].folded_into, "gain gain");
  EXPECT_EQ(s.groups[1].folded_into, "columns of up");
  // Rows times {2, 2, 4, 4}; up's columns also divided by {1, 4, 8, 16}. s was computed from the
  // weights as they were, so the order of the groups does not matter.
  EXPECT_EQ(values_of(s.model.graph, "gate"),
            (std::vector<float>{2, 0, 0, 2, 0, 2, 0, 0, 0, 0, 4, 0, 0, 0, 0, 4}));
  EXPECT_EQ(values_of(s.model.graph, "up"),
            (std::vector<float>{2, 0, 0, 0.125F, 0, 0.5F, 0, 0, 0, 0, 0.5F, 0, 0, 0, 0, 0.25F}));
  EXPECT_EQ(values_of(s.model.graph, "down"), (std::vector<float>{1, 0, 0, -4, 8, 8, -16, 0}));
}

TEST(SmoothQuant, RefusesNonsense) {
  Graphs g;
  const Value x = g.node("Mul", {g.input("x", kHidden), g.weight("gain", {4})}, kHidden);
  Model model = g.finish(g.b.op("MatMul", {x, unit_rows(g, "w")}));
  const auto groups = find_smooth_groups(model.graph, g.shapes);
  ASSERT_TRUE(groups);
  CalibrationStats stats;
  stats.shapes = g.shapes;
  for (const double alpha : {-0.1, 1.5, std::nan("")})
    EXPECT_EQ(smoothquant(model, *groups, stats, alpha).error().code, Code::invalid_input);
  const auto missing = smoothquant(model, *groups, stats, 0.5);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find(x.name), std::string::npos);
  EXPECT_FALSE(model.graph.find_initializer("w")->lazy()) << "a refused model must not be changed";
}

}  // namespace
}  // namespace octavo
