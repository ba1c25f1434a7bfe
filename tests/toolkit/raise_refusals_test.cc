// Graphs that cannot be raised: the message names the node and says why. And damaged ones: any
// answer but a crash.

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "formats/onnx.h"
#include "toolkit/golden_cases.h"
#include "toolkit/raise_graph.h"
#include "toolkit/raise_helpers.h"

namespace octavo {
namespace {

Node& first(Model& model, const std::string& op) {
  for (Node& node : model.graph.nodes) {
    if (node.op_type == op) return node;
  }
  ADD_FAILURE() << "no " << op;
  return model.graph.nodes[0];
}

// Replaces the numbers of every scalar float constant of this value.
void replace_scalar(Model& model, float from, float to) {
  for (Initializer& i : model.graph.initializers) {
    const auto tensor = i.tensor();
    if (tensor && tensor->dtype() == DType::f32 && tensor->size() == 1 &&
        tensor->data<float>()[0] == from)
      i = Initializer(i.name(), Tensor::of<float>(tensor->shape(), {to}));
  }
}

struct Refusal {
  std::string name;
  Spelling spelling;
  std::function<void(Model&)> change;
  std::string node;    // the message names it,
  std::string reason;  // and says this
};

std::vector<Refusal> refusals() {
  Spelling gelu, added, whole, window;
  gelu.gate = Spelling::Gate::gelu;
  whole.layer_norm = Spelling::LayerNorm::whole;
  window.window = 5;
  return {
      {"another activation", gelu, [](Model& m) { replace_scalar(m, 1.4142135F, 1.5F); }, "Mul",
       "no gate by SiLU or GELU"},
      {"an activation alone", Spelling{.gate = Spelling::Gate::relu},
       [](Model& m) { first(m, "Relu").op_type = "Tanh"; }, "Tanh", "not ReLU, SiLU or GELU"},
      {"no softmax", Spelling{}, [](Model& m) { first(m, "Softmax").op_type = "LogSoftmax"; },
       "MatMul", "no Softmax"},
      {"a bias for a mask", Spelling{}, [](Model& m) { replace_scalar(m, -10000, -2); }, "Where",
       "a bias"},
      {"a window that is not causal", window,
       [](Model& m) { first(m, "LessOrEqual").op_type = "GreaterOrEqual"; }, "Where",
       "neither full nor causal"},
      {"another norm axis", whole,
       [](Model& m) { first(m, "LayerNormalization").attributes["axis"] = int64_t{0}; },
       "LayerNormalization", "a norm over other axes"},
      {"a scaled table", Spelling{},
       [](Model& m) {
         Node& gather = first(m, "Gather");
         const std::string table = gather.outputs[0];
         gather.outputs[0] = "rows";
         m.graph.initializers.emplace_back("two", Tensor::scalar(2.0F));
         m.graph.nodes.insert(m.graph.nodes.begin() + (&gather - m.graph.nodes.data()) + 1,
                              {"/scaled", "Mul", "", {"rows", "two"}, {table}, {}, {}});
       },
       "\"/scaled\"", "not ReLU, SiLU or GELU"},
      {"a scaled value", Spelling{.heads = 2, .kv_heads = 2},
       [](Model& m) {
         for (Node& node : m.graph.nodes) {
           if (node.op_type != "MatMul" || node.inputs[0].find("Softmax") == std::string::npos)
             continue;
           m.graph.initializers.emplace_back("two", Tensor::scalar(2.0F));
           const std::string value = node.inputs[1];
           node.inputs[1] = "doubled";
           m.graph.nodes.push_back({"/doubled", "Mul", "", {value, "two"}, {"doubled"}, {}, {}});
           return;
         }
       },
       "MatMul", "scaled, normed or rotated"},
  };
}

TEST(RaiseRefusals, NameTheNodeAndTheReason) {
  for (const Refusal& r : refusals()) {
    SCOPED_TRACE(r.name);
    Model model = RaiseGraph(r.spelling).make();
    r.change(model);
    const auto raised = raise(model);
    ASSERT_FALSE(raised);
    EXPECT_EQ(raised.error().code, Code::unsupported) << raised.error().message;
    EXPECT_NE(raised.error().message.find(r.node), std::string::npos) << raised.error().message;
    EXPECT_NE(raised.error().message.find(r.reason), std::string::npos) << raised.error().message;
  }
}

TEST(RaiseRefusals, OutputsThatAreNoHiddenState) {
  const Model model = RaiseGraph({}).make();
  Probe probe;
  auto raised = raise_encoder(model, probe);
  ASSERT_FALSE(raised);
  EXPECT_NE(raised.error().message.find("has not seen the output"), std::string::npos);
  probe.shapes["last_hidden_state"] = {1, 20};
  raised = raise_encoder(model, probe);
  ASSERT_FALSE(raised);
  EXPECT_NE(raised.error().message.find("[1, length, width]"), std::string::npos);
  raised = raise_encoder(model, probe, {.output = "logits"});
  ASSERT_FALSE(raised);
  EXPECT_EQ(raised.error().code, Code::invalid_input);
}

// Edits that a broken or hostile file could hold, against the probe of the sound one.
class Damage {
 public:
  Damage(Model model, uint32_t seed) : m_(std::move(model)), random_(seed) {}
  Model make() {
    for (uint32_t edits = 1 + pick(3); edits > 0; --edits) edit();
    return std::move(m_);
  }

 private:
  uint32_t pick(size_t n) { return static_cast<uint32_t>(random_() % n); }
  Node& any_node() { return m_.graph.nodes[pick(m_.graph.nodes.size())]; }
  void edit() {
    static const std::vector<std::string> kOps = {"Add",
                                                  "Mul",
                                                  "MatMul",
                                                  "Reshape",
                                                  "Transpose",
                                                  "Split",
                                                  "Slice",
                                                  "Concat",
                                                  "Where",
                                                  "Softmax",
                                                  "Gather",
                                                  "Identity",
                                                  "Cast",
                                                  "Unsqueeze",
                                                  "Expand",
                                                  "Div",
                                                  "Neg",
                                                  "ReduceMean",
                                                  "Sqrt",
                                                  "Pow",
                                                  "Gemm",
                                                  "Squeeze",
                                                  "Shape",
                                                  "Less",
                                                  "LayerNormalization",
                                                  "MatMulInteger",
                                                  "DequantizeLinear",
                                                  "DynamicQuantizeLinear",
                                                  "Constant"};
    static const std::vector<std::string> kContrib = {"MultiHeadAttention",
                                                      "GroupQueryAttention",
                                                      "Attention",
                                                      "SkipLayerNormalization",
                                                      "SkipSimplifiedLayerNormalization",
                                                      "EmbedLayerNormalization",
                                                      "BiasGelu",
                                                      "MatMulNBits",
                                                      "RotaryEmbedding",
                                                      "DynamicQuantizeMatMul",
                                                      "MatMulIntegerToFloat",
                                                      "FusedMatMul"};
    Node& node = any_node();
    switch (pick(8)) {
      case 0:
        node.op_type = kOps[pick(kOps.size())];
        break;
      case 1:
        node.op_type = kContrib[pick(kContrib.size())];
        node.domain = "com.microsoft";
        node.attributes["num_heads"] = int64_t{pick(5)};
        break;
      case 2:
        if (node.inputs.size() > 1) std::swap(node.inputs[0], node.inputs[1]);
        break;
      case 3:
        if (!node.inputs.empty()) node.inputs.resize(pick(node.inputs.size() + 1));
        break;
      case 4: {
        const Node& other = any_node();
        if (!node.inputs.empty() && !other.outputs.empty())
          node.inputs[pick(node.inputs.size())] = other.outputs[0];
        break;
      }
      case 5:
        if (!node.inputs.empty() && !m_.graph.initializers.empty())
          node.inputs[pick(node.inputs.size())] =
              m_.graph.initializers[pick(m_.graph.initializers.size())].name();
        break;
      case 6: {
        Initializer& i = m_.graph.initializers[pick(m_.graph.initializers.size())];
        static const std::vector<Shape> kShapes = {{}, {0}, {1}, {3, 0}, {5, 1}, {1, 1, 4}, {2}};
        const Shape& shape = kShapes[pick(kShapes.size())];
        const std::vector<int64_t> odd(static_cast<size_t>(*element_count(shape)),
                                       pick(2) == 0 ? INT64_MIN : INT64_MAX);
        i = pick(2) == 0 ? Initializer(i.name(), Tensor::of<int64_t>(shape, odd))
                         : Initializer(i.name(), *Tensor::make(DType::f32, shape));
        break;
      }
      default:
        node.attributes["axis"] = int64_t{pick(7)} - 3;
        node.inputs.insert(node.inputs.end(), pick(4), node.inputs.empty() ? "" : node.inputs[0]);
        break;
    }
  }

  Model m_;
  std::mt19937 random_;
};

TEST(RaiseRefusals, DamagedGraphsEndInAnAnswer) {
  std::vector<Model> sound;
  Spelling all;
  all.head_norm = all.cache = all.nan_guard = true;
  all.window = 40;
  sound.push_back(RaiseGraph(all).make());
  all.product = Spelling::Product::fused_slice;
  all.rotation = Spelling::Rotation::halves;
  all.gate = Spelling::Gate::gelu_tanh;
  sound.push_back(RaiseGraph(all).make());
  for (const auto& file : files_in(golden("foreign"), ".onnx")) {
    auto model = read_onnx(file);
    ASSERT_TRUE(model);
    sound.push_back(*std::move(model));
  }
  size_t raised = 0;
  for (const Model& model : sound) {
    const auto session = Session::create(model, {.pool = nullptr, .threads = 1});
    ASSERT_TRUE(session) << session.error().message;
    const auto probe = run_raise_probe(*session, some_ids(kProbeLength, 97));
    ASSERT_TRUE(probe) << probe.error().message;
    ASSERT_TRUE(raise_encoder(model, *probe));
    for (uint32_t seed = 0; seed < 300; ++seed) {
      const auto answer = raise_encoder(Damage(model, seed).make(), *probe);
      if (!answer) {
        EXPECT_FALSE(answer.error().message.empty());
        continue;
      }
      ++raised;
      for (const Initializer& i : answer->model.graph.initializers)
        EXPECT_TRUE(i.tensor()) << i.name();  // cut weights are cut inside their bytes
    }
  }
  EXPECT_GT(raised, 0U);
}

// As deep as a file may be: no recursion, and no work that grows with the square of the depth.
TEST(RaiseRefusals, ADeepGraphIsRaisedAll) {
  constexpr int kLayers = 10'000;
  GraphBuilder b("deep");
  const Value ids = b.input("input_ids", DType::i64, {"batch", "sequence"});
  const Value w = b.constant(*Tensor::make(DType::f32, {2, 2}));
  Value x = b.op("Gather", {w, ids});
  for (int i = 0; i < kLayers; ++i) {
    x = x + b.op("MatMul", {x, w});
    for (int j = 0; j < 3; ++j) x = b.op("Identity", {x});
  }
  b.output(x, "last_hidden_state", DType::f32, {"batch", "sequence", 2});
  const Model model = std::move(b).finish(17);
  Probe probe;
  for (const Node& node : model.graph.nodes) probe.shapes[node.outputs[0]] = {1, 8, 2};
  const auto raised = raise_encoder(model, probe);
  ASSERT_TRUE(raised) << raised.error().message;
  EXPECT_EQ(raised->model.graph.nodes.size(), 1U + 2U * kLayers);
}

}  // namespace
}  // namespace octavo
