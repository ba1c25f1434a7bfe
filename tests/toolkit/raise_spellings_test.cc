// One layer in many spellings: each must be raised to the same ops and give its own numbers.

#include <gtest/gtest.h>

#include <functional>

#include "toolkit/raise_graph.h"
#include "toolkit/raise_helpers.h"
#include "toolkit/random_encoder.h"

namespace octavo {
namespace {

using S = Spelling;

struct Case {
  std::string name;
  std::function<void(S&)> change;
};

std::vector<Case> cases() {
  std::vector<Case> all = {{"plain", [](S&) {}}};
  const auto add = [&](const std::string& name, std::function<void(S&)> change) {
    all.push_back({name, std::move(change)});
  };
  for (const auto n : {S::Norm::reciprocal, S::Norm::one_over, S::Norm::pow, S::Norm::cast,
                       S::Norm::square_root_by_pow, S::Norm::whole})
    add("norm_" + std::to_string(static_cast<int>(n)), [n](S& s) {
      s.norm = n;
      s.head_norm = true;
    });
  for (const auto n : {S::LayerNorm::pieces, S::LayerNorm::whole})
    add("layer_norm_" + std::to_string(static_cast<int>(n)), [n](S& s) { s.layer_norm = n; });
  for (const auto g :
       {S::Gate::silu_swapped, S::Gate::sigmoid_first, S::Gate::gelu, S::Gate::gelu_half_first,
        S::Gate::gelu_tanh, S::Gate::gelu_tanh_product, S::Gate::relu, S::Gate::silu_alone})
    add("gate_" + std::to_string(static_cast<int>(g)), [g](S& s) { s.gate = g; });
  for (const auto r :
       {S::Rotation::slice, S::Rotation::halves, S::Rotation::swapped, S::Rotation::none})
    add("rotation_" + std::to_string(static_cast<int>(r)), [r](S& s) { s.rotation = r; });
  for (const auto m : {S::Mask::where, S::Mask::where_not, S::Mask::none})
    add("mask_" + std::to_string(static_cast<int>(m)), [m](S& s) { s.mask = m; });
  for (const auto c : {S::Scale::scores_mul, S::Scale::scores_div, S::Scale::both_sides})
    add("scale_" + std::to_string(static_cast<int>(c)), [c](S& s) { s.scale = c; });
  for (const auto p : {S::Product::bias, S::Product::bias_first, S::Product::gemm,
                       S::Product::transposed, S::Product::fused_split, S::Product::fused_slice,
                       S::Product::dequantized, S::Product::dequantized_by_column, S::Product::half,
                       S::Product::bfloat, S::Product::looked_up, S::Product::looked_up_in_fours})
    add("product_" + std::to_string(static_cast<int>(p)), [p](S& s) { s.product = p; });
  for (const auto& [heads, kv] :
       {std::pair{1, 1}, std::pair{4, 4}, std::pair{4, 1}, std::pair{6, 3}})
    add("heads_" + std::to_string(heads) + "_" + std::to_string(kv), [heads, kv](S& s) {
      s.heads = heads;
      s.kv_heads = kv;
    });
  // Seen by the probe, at its edge, and longer than it.
  for (const int64_t window : {1, 3, 23, 24, 25, 40})
    add("window_" + std::to_string(window), [window](S& s) { s.window = window; });
  add("places_of_an_input", [](S& s) { s.places = S::Places::input; });
  add("places_by_the_mask", [](S& s) { s.places = S::Places::mask; });
  for (const auto t : {S::Table::gathered_bytes, S::Table::bytes_by_row, S::Table::bytes_by_column})
    add("table_" + std::to_string(static_cast<int>(t)), [t](S& s) { s.table = t; });
  for (const auto op : {S::Op::grouped, S::Op::grouped_packed})
    add("op_" + std::to_string(static_cast<int>(op)), [op](S& s) {
      s.op = op;
      s.window = 7;
    });
  add("cache", [](S& s) { s.cache = true; });
  add("nan_guard", [](S& s) { s.nan_guard = true; });
  return all;
}

class Spellings : public testing::TestWithParam<Case> {};

TEST_P(Spellings, GiveTheNumbersOfTheGraph) {
  Spelling s;
  GetParam().change(s);
  const Model model = RaiseGraph(s).make();
  const auto raised = raise(model);
  ASSERT_TRUE(raised) << raised.error().message;
  const auto difference = compare(model, *raised, some_ids(60, RaiseGraph::kVocabulary));
  ASSERT_TRUE(difference) << difference.error().message;
  EXPECT_LE(*difference, 1e-5);

  const auto count = [&](std::string_view op) {
    const auto& nodes = raised->model.graph.nodes;
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](const Node& n) { return n.op_type == op; });
  };
  const bool gated = s.gate != S::Gate::relu && s.gate != S::Gate::silu_alone;
  EXPECT_EQ(count("Linear"), gated ? 7 : 6);
  EXPECT_EQ(count("RMSNorm") + count("LayerNormalization"), 3);
  EXPECT_EQ(count("Add"), 2);
  EXPECT_EQ(count("Embed"), 1);
  EXPECT_EQ(count("SwiGLU") + count("GeGLU") + count("Relu") + count("Silu"), 1);
  ASSERT_EQ(count("FusedAttention"), 1);
  for (const Node& node : raised->model.graph.nodes) {
    if (node.op_type != "FusedAttention") continue;
    EXPECT_EQ(node.int_or("heads", 0), s.heads);
    EXPECT_EQ(node.int_or("kv_heads", 0), s.kv_heads);
    EXPECT_EQ(node.int_or("head_dim", 0), RaiseGraph::kDim);
    EXPECT_EQ(node.int_or("causal", -1), s.mask == S::Mask::none ? 0 : 1);
    EXPECT_NEAR(node.float_or("scale", 0), 0.4F, 1e-6F);
    // A window as long as the probe hides nothing there and is read from the comparison.
    EXPECT_EQ(node.int_or("window", -1), s.window);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Spellings, testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.name; });

// Encoders put together at random, with shared weights, outlier channels and other outputs. What is
// raised must give the graph's numbers; the rest says why.
TEST(RaiseRandom, EncodersGiveTheirNumbersOrAReason) {
  int raised_count = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Model model = RandomEncoder(seed).make();
    // A factor inside a product, and gates by ReLU, have no raised op; keep some of each.
    for (Node& node : model.graph.nodes) {
      if (node.op_type == "Gemm" && seed % 8 != 0) node.attributes.erase("alpha");
      if (node.op_type != "Relu" || seed % 4 == 0) continue;
      node.op_type = "Gelu";
      node.domain = "com.microsoft";
    }
    model.opset_imports["com.microsoft"] = 1;
    const auto session = Session::create(model, {.pool = nullptr, .threads = 1});
    ASSERT_TRUE(session) << session.error().message;
    const auto probe = run_raise_probe(*session, some_ids(kProbeLength, 29));
    ASSERT_TRUE(probe) << probe.error().message;
    const auto raised = raise_encoder(model, *probe, {.output = "y"});
    if (!raised) {
      const std::string& message = raised.error().message;
      const bool known = message.find("alpha") != std::string::npos ||
                         message.find("no gate") != std::string::npos ||
                         message.find("an attention input comes from here") != std::string::npos;
      EXPECT_TRUE(known) << message;
      continue;
    }
    const auto difference = compare(model, *raised, some_ids(33, 29));
    ASSERT_TRUE(difference) << difference.error().message;
    EXPECT_LE(*difference, 1e-4);
    ++raised_count;
  }
  EXPECT_GE(raised_count, 240);
}

}  // namespace
}  // namespace octavo
