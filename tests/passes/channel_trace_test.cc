#include "passes/channel_trace.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "passes/smooth_graphs.h"

namespace octavo {
namespace {

using smooth_test::Graphs;
using smooth_test::kBatch;
using smooth_test::kSequence;

constexpr int64_t kWidth = 4;
const Shape kHidden = {kBatch, kSequence, kWidth};

// "/ up.weight [1, 4] 0 1 2 3": what is done to which constant; - for untouched elements.
std::string text_of(const Graph& graph, const ConstantEdit& edit) {
  std::string text = edit.multiply ? "* " : "/ ";
  text += graph.nodes[edit.edge.node].inputs[edit.edge.input] + " " + to_string(edit.map.dims);
  for (const int32_t id : edit.map.ids) text += id < 0 ? " -" : " " + std::to_string(id);
  return text;
}

struct Outcome {
  std::multiset<std::string> edits;
  std::vector<std::pair<int, int>> ties;
  std::string refusal;
};

// Builds the value that `make` describes, lets a MatMul of `width` inputs read it, and traces.
Outcome trace(const std::function<Value(Graphs&)>& make, int64_t width = kWidth) {
  Graphs g;
  const Value x = make(g);
  const Value y = g.b.op("MatMul", {x, g.weight("down.weight", {width, 2})});
  const std::string name = x.name;
  const Model model = g.finish(y);
  EXPECT_TRUE(check(model)) << check(model).error().message;
  const GraphIndex index(model.graph);
  ChannelTrace trace(model.graph, index, g.shapes);
  std::vector<Edge> readers;
  for (const auto& use : index.uses(name)) {
    if (model.graph.nodes[use.node].op_type == "MatMul") readers.push_back({use.node, use.input});
  }
  const auto shape = trace.shape(name);
  EXPECT_TRUE(shape) << name;
  const Status done =
      trace.divide(name, ChannelMap::last_axis(shape->size(), width), {readers.back()});
  Outcome outcome;
  if (!done) {
    EXPECT_EQ(done.error().code, Code::unsupported);
    EXPECT_TRUE(trace.edits().empty() && trace.ties().empty()) << "a refusal left something behind";
    outcome.refusal = done.error().message;
    return outcome;
  }
  for (const auto& edit : trace.edits()) outcome.edits.insert(text_of(model.graph, edit));
  for (const auto& tie : trace.ties()) outcome.ties.emplace_back(tie.a, tie.b);
  return outcome;
}

Value hidden(Graphs& g, const std::string& name = "x") { return g.input(name, kHidden); }
Value linear(Graphs& g, const Value& x, const std::string& name, int64_t in, int64_t out) {
  return g.node("MatMul", {x, g.weight(name, {in, out})}, {kBatch, kSequence, out});
}

struct Fold {
  const char* what;
  std::function<Value(Graphs&)> make;
  std::multiset<std::string> edits;
};

void check_folds(const std::vector<Fold>& folds) {
  for (const auto& fold : folds) {
    const Outcome outcome = trace(fold.make);
    EXPECT_EQ(outcome.refusal, "") << fold.what;
    EXPECT_EQ(outcome.edits, fold.edits) << fold.what;
    EXPECT_TRUE(outcome.ties.empty()) << fold.what;
  }
}

TEST(ChannelTrace, FoldsIntoNorms) {
  check_folds({
      {"RMSNorm gain",
       [](Graphs& g) {
         return g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
       },
       {"/ gain [4] 0 1 2 3"}},
      {"gain on the left, of a higher rank",
       [](Graphs& g) {
         return g.node("Mul", {g.weight("gain", {1, 1, 4}), hidden(g)}, kHidden);
       },
       {"/ gain [1, 1, 4] 0 1 2 3"}},
      {"LayerNormalization",
       [](Graphs& g) {
         return g.node("LayerNormalization",
                       {hidden(g), g.weight("gain", {4}), g.weight("bias", {4})}, kHidden);
       },
       {"/ gain [4] 0 1 2 3", "/ bias [4] 0 1 2 3"}},
      {"LayerNormalization without bias",
       [](Graphs& g) {
         return g.node("LayerNormalization", {hidden(g), g.weight("gain", {4})}, kHidden);
       },
       {"/ gain [4] 0 1 2 3"}},
      {"decomposed LayerNorm",
       [](Graphs& g) {
         const Value scaled = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         return g.node("Add", {scaled, g.weight("bias", {4})}, kHidden);
       },
       {"/ gain [4] 0 1 2 3", "/ bias [4] 0 1 2 3"}},
      {"a scalar factor stays a scalar",
       [](Graphs& g) {
         const Value scaled = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         return g.node("Mul", {scaled, g.b.scalar(0.5F)}, kHidden);
       },
       {"/ gain [4] 0 1 2 3"}},
      {"a division by a constant is multiplied",
       [](Graphs& g) {
         return g.node("Div", {hidden(g), g.weight("deviation", {4})}, kHidden);
       },
       {"* deviation [4] 0 1 2 3"}},
      {"a reader of the shape sees no difference",
       [](Graphs& g) {
         const Value x = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         g.b.op("Shape", {x});
         return x;
       },
       {"/ gain [4] 0 1 2 3"}},
  });
}

TEST(ChannelTrace, FoldsIntoLinearLayers) {
  check_folds({
      {"the up projection of SwiGLU",
       [](Graphs& g) {
         const Value x = hidden(g);
         const Value gate = linear(g, x, "gate", 4, 4);
         const Value act = g.node("Mul", {gate, g.node("Sigmoid", {gate}, kHidden)}, kHidden);
         return g.node("Mul", {act, linear(g, x, "up", 4, 4)}, kHidden);
       },
       {"/ up [1, 4] 0 1 2 3"}},
      {"with a bias",
       [](Graphs& g) {
         const Value up = linear(g, hidden(g), "up", 4, 4);
         return g.node("Add", {g.weight("bias", {4}), up}, kHidden);
       },
       {"/ up [1, 4] 0 1 2 3", "/ bias [4] 0 1 2 3"}},
      {"with one number as bias, which becomes four",
       [](Graphs& g) {
         const Value up = linear(g, hidden(g), "up", 4, 4);
         return g.node("Add", {up, g.weight("bias", {1})}, kHidden);
       },
       {"/ up [1, 4] 0 1 2 3", "/ bias [4] 0 1 2 3"}},
      {"through ReLU, because s > 0",
       [](Graphs& g) { return g.node("Relu", {linear(g, hidden(g), "up", 4, 4)}, kHidden); },
       {"/ up [1, 4] 0 1 2 3"}},
      {"a transposed weight",
       [](Graphs& g) {
         const Value w = g.node("Transpose", {g.weight("up", {4, 3})}, {3, 4});
         return g.node("MatMul", {g.input("x", {kBatch, kSequence, 3}), w}, kHidden);
       },
       {"/ up [4, 1] 0 1 2 3"}},
      {"Gemm, transB",
       [](Graphs& g) {
         const Value x = g.input("x", {kSequence, 3});
         return g.node("Gemm", {x, g.weight("up", {4, 3}), g.weight("bias", {4})}, {kSequence, 4},
                       {{"transB", int64_t{1}}, {"alpha", 0.5F}});
       },
       {"/ up [4, 1] 0 1 2 3", "/ bias [4] 0 1 2 3"}},
      {"Gemm, not transposed, no bias",
       [](Graphs& g) {
         return g.node("Gemm", {g.input("x", {kSequence, 3}), g.weight("up", {3, 4})},
                       {kSequence, 4});
       },
       {"/ up [1, 4] 0 1 2 3"}},
      {"both sides of a sum",
       [](Graphs& g) {
         return g.node("Sub",
                       {linear(g, hidden(g), "a", 4, 4), linear(g, hidden(g, "z"), "b", 4, 4)},
                       kHidden);
       },
       {"/ a [1, 4] 0 1 2 3", "/ b [1, 4] 0 1 2 3"}},
      {"both branches of Where",
       [](Graphs& g) {
         const Value c = g.seen(g.b.input("c", DType::boolean, {"batch", "sequence", 1}),
                                {kBatch, kSequence, 1});
         return g.node("Where", {c, linear(g, hidden(g), "a", 4, 4), g.weight("b", {1})}, kHidden);
       },
       {"/ a [1, 4] 0 1 2 3", "/ b [4] 0 1 2 3"}},
      {"the columns of an embedding table",
       [](Graphs& g) {
         const Value ids =
             g.seen(g.b.input("ids", DType::i64, {"batch", "sequence"}), {kBatch, kSequence});
         return g.node("Gather", {g.weight("table", {9, 4}), ids}, kHidden);
       },
       {"/ table [1, 4] 0 1 2 3"}},
  });
}

// [B, S, K*D] -> [B, K, S, D]
Value heads_of(Graphs& g, const Value& v, int64_t heads, int64_t width) {
  const Value split =
      g.node("Reshape", {v, g.b.ints({0, 0, heads, width})}, {kBatch, kSequence, heads, width});
  return g.node("Transpose", {split}, {kBatch, heads, kSequence, width},
                {{"perm", Ints{0, 2, 1, 3}}});
}
// weights times v, back to [B, S, H*D]
Value attend(Graphs& g, const Value& v, int64_t heads, int64_t width) {
  const Value probs = g.input("probs", {kBatch, heads, kSequence, kSequence});
  const Value mixed = g.node("MatMul", {probs, v}, {kBatch, heads, kSequence, width});
  const Value rows =
      g.node("Transpose", {mixed}, {kBatch, kSequence, heads, width}, {{"perm", Ints{0, 2, 1, 3}}});
  return g.node("Reshape", {rows, g.b.ints({0, 0, -1})}, {kBatch, kSequence, heads * width});
}

TEST(ChannelTrace, FoldsIntoTheValueProjection) {
  check_folds({{"with a bias, as in BERT",
                [](Graphs& g) {
                  const Value v = linear(g, hidden(g), "v", 4, 4);
                  const Value biased = g.node("Add", {v, g.weight("bias", {4})}, kHidden);
                  return attend(g, heads_of(g, biased, 2, 2), 2, 2);
                },
                {"/ v [1, 4] 0 1 2 3", "/ bias [4] 0 1 2 3"}}});
}

TEST(ChannelTrace, QueryGroupsShareTheFactorOfTheirValueHead) {
  const Outcome outcome = trace(
      [](Graphs& g) {
        const Value v = heads_of(g, linear(g, hidden(g), "v", 4, 4), 2, 2);
        const Value wide = g.node("Unsqueeze", {v, g.b.ints({2})}, {kBatch, 2, 1, kSequence, 2});
        const Value repeated =
            g.node("Expand", {wide, g.b.ints({1, 1, 2, 1, 1})}, {kBatch, 2, 2, kSequence, 2});
        const Value all =
            g.node("Reshape", {repeated, g.b.ints({0, 4, -1, 2})}, {kBatch, 4, kSequence, 2});
        return attend(g, all, 4, 2);
      },
      8);
  EXPECT_EQ(outcome.refusal, "");
  // Output channels of query heads 0 and 1 are 0 1 and 2 3: both read value head 0.
  EXPECT_EQ(outcome.edits, (std::multiset<std::string>{"/ v [1, 4] 0 1 4 5"}));
  EXPECT_EQ(outcome.ties, (std::vector<std::pair<int, int>>{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
}

TEST(ChannelTrace, FindsThePartOfAFusedProjection) {
  const auto fused = [](Graphs& g) {
    return g.node("MatMul", {hidden(g), g.weight("qkv", {4, 12})}, {kBatch, kSequence, 12});
  };
  const std::string last_third = "/ qkv [1, 12] - - - - - - - - 0 1 2 3";
  check_folds({
      {"Split",
       [&](Graphs& g) {
         const auto parts = g.b.ops("Split", {fused(g)}, 3, {{"axis", int64_t{-1}}});
         for (const auto& part : parts) g.seen(part, kHidden);
         g.node("Exp", {parts[0]}, kHidden);
         return g.node("Neg", {parts[2]}, kHidden);
       },
       {last_third}},
      {"Slice, whose siblings read other channels",
       [&](Graphs& g) {
         const Value x = fused(g);
         const auto slice = [&](int64_t from, int64_t to) {
           return g.node("Slice", {x, g.b.ints({from}), g.b.ints({to}), g.b.ints({2})}, kHidden);
         };
         g.node("Exp", {slice(0, 4)}, kHidden);
         g.node("Exp", {slice(4, 8)}, kHidden);
         return g.node("Neg", {slice(-4, INT64_MAX)}, kHidden);
       },
       {last_third}},
      {"Gather of one third",
       [&](Graphs& g) {
         const Value x =
             g.node("Reshape", {fused(g), g.b.ints({0, 0, 3, 4})}, {kBatch, kSequence, 3, 4});
         g.node("Exp",
                {g.node("Gather", {x, g.b.scalar(int64_t{0})}, kHidden, {{"axis", int64_t{2}}})},
                kHidden);
         return g.node("Gather", {x, g.b.scalar(int64_t{-1})}, kHidden, {{"axis", int64_t{2}}});
       },
       {last_third}},
      {"Concat of two projections",
       [](Graphs& g) {
         const Value x = hidden(g);
         const Value a = g.node("MatMul", {x, g.weight("a", {4, 1})}, {kBatch, kSequence, 1});
         const Value c = g.node("MatMul", {x, g.weight("c", {4, 3})}, {kBatch, kSequence, 3});
         return g.node("Concat", {a, c}, kHidden, {{"axis", int64_t{-1}}});
       },
       {"/ a [1, 1] 0", "/ c [1, 3] 1 2 3"}},
      {"the first token",
       [](Graphs& g) {
         const Value x = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         return g.node("Gather", {x, g.b.scalar(int64_t{0})}, {kBatch, kWidth},
                       {{"axis", int64_t{1}}});
       },
       {"/ gain [4] 0 1 2 3"}},
  });
}

TEST(ChannelTrace, FoldsIntoFusedOps) {
  const auto micro = [](Graphs& g, const char* op, const std::vector<Value>& in,
                        Attributes attributes = {}) {
    Value made = g.node(op, in, kHidden, std::move(attributes));
    return made;
  };
  const auto run = [&](const std::function<Value(Graphs&)>& make) {
    Graphs g;
    const Value x = make(g);
    const Value y = g.b.op("MatMul", {x, g.weight("down.weight", {kWidth, 2})});
    const std::string name = x.name;
    Model model = g.finish(y);
    for (auto& node : model.graph.nodes) {
      if (node.op_type != "MatMul") node.domain = "com.microsoft";
    }
    const GraphIndex index(model.graph);
    ChannelTrace trace(model.graph, index, g.shapes);
    const auto& use = index.uses(name)[0];
    const Status done =
        trace.divide(name, ChannelMap::last_axis(3, kWidth), {{use.node, use.input}});
    std::multiset<std::string> edits;
    for (const auto& edit : trace.edits()) edits.insert(text_of(model.graph, edit));
    if (!done) edits.insert(done.error().message);
    std::string ties;
    for (const auto& tie : trace.ties())
      ties += std::to_string(tie.a) + "=" + std::to_string(tie.b) + " ";
    if (!ties.empty()) edits.insert(ties);
    return edits;
  };
  using Edits = std::multiset<std::string>;
  EXPECT_EQ(run([&](Graphs& g) {
              return micro(
                  g, "SkipLayerNormalization",
                  {hidden(g), hidden(g, "skip"), g.weight("gain", {4}), g.weight("bias", {4})});
            }),
            (Edits{"/ gain [4] 0 1 2 3", "/ bias [4] 0 1 2 3"}));
  EXPECT_EQ(run([&](Graphs& g) {
              return micro(g, "SkipSimplifiedLayerNormalization",
                           {hidden(g), hidden(g, "skip"), g.weight("gain", {4})});
            }),
            (Edits{"/ gain [4] 0 1 2 3"}));
  EXPECT_EQ(run([&](Graphs& g) {
              return micro(
                  g, "MultiHeadAttention",
                  {hidden(g), hidden(g, "k"), g.weight("v", {2, 5, 4}), g.weight("bias", {12})},
                  {{"num_heads", int64_t{2}}});
            }),
            (Edits{"/ v [1, 1, 4] 0 1 2 3", "/ bias [12] - - - - - - - - 0 1 2 3"}));
  EXPECT_EQ(
      run([&](Graphs& g) {
        return micro(g, "Attention", {hidden(g), g.weight("qkv", {4, 12}), g.weight("bias", {12})},
                     {{"num_heads", int64_t{2}}});
      }),
      (Edits{"/ qkv [1, 12] - - - - - - - - 0 1 2 3", "/ bias [12] - - - - - - - - 0 1 2 3"}));
  EXPECT_EQ(run([&](Graphs& g) {
              const Value v = g.weight("v", {1, 1, 2});
              return micro(g, "GroupQueryAttention", {hidden(g), hidden(g, "k"), v},
                           {{"num_heads", int64_t{2}}, {"kv_num_heads", int64_t{1}}});
            }),
            (Edits{"/ v [1, 1, 2] 0 1", "0=2 1=3 "}));
  EXPECT_EQ(run([&](Graphs& g) {
              const Value v = g.weight("v", {1, 1, 2});
              return micro(g, "GroupQueryAttention",
                           {hidden(g), hidden(g, "k"), v, hidden(g, "past_k"), hidden(g, "past_v")},
                           {{"num_heads", int64_t{2}}, {"kv_num_heads", int64_t{1}}});
            }),
            (Edits{"com.microsoft.GroupQueryAttention node \"/GroupQueryAttention\": has a value "
                   "cache"}));
}

TEST(ChannelTrace, RefusesWhatWouldChangeSomethingElse) {
  struct Refusal {
    const char* what;
    std::function<Value(Graphs&)> make;
    const char* why;  // part of the message
  };
  const std::vector<Refusal> refusals = {
      {"an input of the model", [](Graphs& g) { return hidden(g); }, "is an input of the model"},
      {"a norm that also feeds the residual",
       [](Graphs& g) {
         const Value x = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         g.node("Add", {x, hidden(g, "residual")}, kHidden);
         return x;
       },
       "also feeds Add"},
      {"an output of the model",
       [](Graphs& g) {
         const Value x = g.node("Mul", {hidden(g), g.weight("gain", {4})}, kHidden);
         g.b.output(x, "hidden", DType::f32, {"batch", "sequence", kWidth});
         return g.seen(Value{&g.b, "hidden"}, kHidden);
       },
       "is an output of the model"},
      {"GELU",
       [](Graphs& g) {
         const Value x = linear(g, hidden(g), "up", 4, 4);
         const Value erf = g.node("Erf", {x}, kHidden);
         const Value one = g.node("Add", {erf, g.b.scalar(1.0F)}, kHidden);
         const Value twice = g.node("Mul", {x, one}, kHidden);
         return g.node("Mul", {twice, g.b.scalar(0.5F)}, kHidden);
       },
       "Erf"},
      {"a square",
       [](Graphs& g) {
         const Value x = linear(g, hidden(g), "up", 4, 4);
         return g.node("Mul", {x, x}, kHidden);
       },
       "also feeds"},
      {"a sum of which one side is fixed",
       [](Graphs& g) {
         return g.node("Add", {linear(g, hidden(g), "up", 4, 4), hidden(g, "residual")}, kHidden);
       },
       "is an input of the model"},
      {"a factor that is the same for all channels",
       [](Graphs& g) {
         const Value norm = g.input("norm", {kBatch, kSequence, 1});
         return g.node("Mul", {g.node("Softmax", {hidden(g)}, kHidden), norm}, kHidden);
       },
       "does not vary along the channels"},
      {"a half-precision gain",
       [](Graphs& g) {
         const Value gain =
             g.b.initializer(Initializer("gain", *Tensor::make(DType::f16, {kWidth})));
         return g.node("Mul", {hidden(g), gain}, kHidden);
       },
       "float16"},
      {"a rounding in between",
       [](Graphs& g) {
         const Value x = linear(g, hidden(g), "up", 4, 4);
         return g.node("Cast", {x}, kHidden, {{"to", static_cast<int64_t>(DType::f16)}});
       },
       "rounds to float16"},
      {"an op nobody taught us", [](Graphs& g) { return g.node("Softmax", {hidden(g)}, kHidden); },
       "Softmax"},
      {"a value cache",
       [](Graphs& g) {
         const Value now = linear(g, hidden(g), "v", 4, 4);
         return g.node("Concat", {hidden(g, "past"), now}, kHidden, {{"axis", int64_t{1}}});
       },
       "\"past\" is an input of the model"},
      {"a slice that overlaps",
       [](Graphs& g) {
         const Value x =
             g.node("MatMul", {hidden(g), g.weight("w", {4, 6})}, {kBatch, kSequence, 6});
         const auto slice = [&](int64_t from, int64_t to) {
           return g.node("Slice", {x, g.b.ints({from}), g.b.ints({to}), g.b.ints({2})}, kHidden);
         };
         g.node("Exp", {slice(0, 4)}, kHidden);
         return slice(2, 6);
       },
       "also feeds Slice"},
      {"a shape nobody observed",
       [](Graphs& g) {
         const Value x = g.b.op("MatMul", {hidden(g), g.weight("w", {4, 4})});
         return g.node("Reshape", {x, g.b.ints({0, 0, 4})}, kHidden);
       },
       "was not observed"},
  };
  for (const auto& refusal : refusals) {
    const Outcome outcome = trace(refusal.make);
    EXPECT_NE(outcome.refusal.find(refusal.why), std::string::npos)
        << refusal.what << ": \"" << outcome.refusal << "\"";
  }
}

TEST(ChannelTrace, ABranchThatFailsLeavesNoEdits) {
  // a * b, where a is a sum whose first side folds and whose second does not: b must take it alone.
  const Outcome outcome = trace([](Graphs& g) {
    const Value x = hidden(g);
    const Value sum =
        g.node("Add", {linear(g, x, "a", 4, 4), g.node("Exp", {linear(g, x, "e", 4, 4)}, kHidden)},
               kHidden);
    return g.node("Mul", {sum, linear(g, x, "b", 4, 4)}, kHidden);
  });
  EXPECT_EQ(outcome.edits, (std::multiset<std::string>{"/ b [1, 4] 0 1 2 3"}));
}

}  // namespace
}  // namespace octavo
