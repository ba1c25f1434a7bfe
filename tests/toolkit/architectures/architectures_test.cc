#include "toolkit/architectures/architectures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "formats/json.h"
#include "graph/constants.h"
#include "graph/inline.h"

namespace octavo::architectures {
namespace {

using nlohmann::json;

// Weights that exist because somebody asks for them, each element its own index.
class Shapes : public WeightSource {
 public:
  explicit Shapes(const std::vector<std::pair<std::string, Shape>>& tensors) {
    for (const auto& [name, shape] : tensors) entries_.push_back({name, shape, "F32"});
  }
  const std::vector<WeightEntry>& entries() const override { return entries_; }
  const WeightEntry* find(std::string_view name) const override {
    for (const auto& e : entries_) {
      if (e.name == name) return &e;
    }
    return nullptr;
  }
  Result<Tensor> load(std::string_view name) const override {
    OCTAVO_TRY(Tensor t, Tensor::make(DType::f32, find(name)->shape));
    for (int64_t i = 0; i < t.size(); ++i) t.mutable_data<float>()[i] = static_cast<float>(i);
    return t;
  }
  Result<Tensor> load_as_stored(std::string_view name) const override { return load(name); }
  std::vector<WeightEntry> entries_;
};

json decoder_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 11},
          {"hidden_size", 12},
          {"intermediate_size", 10},
          {"num_hidden_layers", 1},
          {"num_attention_heads", 3},
          {"num_key_value_heads", 1},
          {"head_dim", 6},
          {"max_position_embeddings", 64}};
}

std::shared_ptr<Shapes> decoder_weights(const std::string& prefix = "model.") {
  const std::string l = prefix + "layers.0.";
  return std::make_shared<Shapes>(
      std::vector<std::pair<std::string, Shape>>{{prefix + "embed_tokens.weight", {11, 12}},
                                                 {prefix + "norm.weight", {12}},
                                                 {l + "input_layernorm.weight", {12}},
                                                 {l + "post_attention_layernorm.weight", {12}},
                                                 {l + "self_attn.q_proj.weight", {18, 12}},
                                                 {l + "self_attn.k_proj.weight", {6, 12}},
                                                 {l + "self_attn.v_proj.weight", {6, 12}},
                                                 {l + "self_attn.o_proj.weight", {12, 18}},
                                                 {l + "mlp.gate_proj.weight", {10, 12}},
                                                 {l + "mlp.up_proj.weight", {10, 12}},
                                                 {l + "mlp.down_proj.weight", {12, 10}},
                                                 {"lm_head.weight", {11, 12}}});
}

json bert_config() {
  return {{"architectures", {"BertModel"}}, {"vocab_size", 11},       {"hidden_size", 12},
          {"intermediate_size", 10},        {"num_hidden_layers", 1}, {"num_attention_heads", 3},
          {"max_position_embeddings", 64}};
}

std::shared_ptr<Shapes> bert_weights(const std::string& prefix, const std::string& gain,
                                     const std::string& shift) {
  std::vector<std::pair<std::string, Shape>> t = {
      {prefix + "embeddings.word_embeddings.weight", {11, 12}},
      {prefix + "embeddings.position_embeddings.weight", {64, 12}},
      {prefix + "embeddings.token_type_embeddings.weight", {2, 12}}};
  const std::string l = prefix + "encoder.layer.0.";
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    t.push_back({l + name + ".weight", {out, in}});
    t.push_back({l + name + ".bias", {out}});
  };
  for (const auto* name : {"query", "key", "value"})
    linear(std::string("attention.self.") + name, 12, 12);
  linear("attention.output.dense", 12, 12);
  linear("intermediate.dense", 10, 12);
  linear("output.dense", 12, 10);
  for (const auto& norm : {prefix + "embeddings.", l + "attention.output.", l + "output."}) {
    t.push_back({norm + "LayerNorm." + gain, {12}});
    t.push_back({norm + "LayerNorm." + shift, {12}});
  }
  return std::make_shared<Shapes>(t);
}

Result<Model> write(const json& config, std::shared_ptr<const WeightSource> source) {
  OCTAVO_TRY(const Found found, find(config));
  Checkpoint weights(std::move(source));
  return found.write(config, weights);
}

void expect_error(const Result<Model>& result, Code code, const std::string& part) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code);
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
}

TEST(Find, KnowsModelsWithAndWithoutHeads) {
  for (const auto* name :
       {"BertModel", "BertForMaskedLM", "LlamaModel", "LlamaForCausalLM", "MistralModel",
        "MistralForCausalLM", "Qwen2Model", "Qwen2ForCausalLM", "Qwen3Model", "Qwen3ForCausalLM"}) {
    const auto found = find(json{{"architectures", {name}}});
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->name, name);
  }
  EXPECT_EQ(find(json{{"model_type", "qwen3"}})->name, "Qwen3Model");
}

TEST(Find, NamesTheUnknownAndTheKnown) {
  const auto found = find(json{{"architectures", {"T5EncoderModel"}}, {"model_type", "llama"}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::unsupported);
  for (const auto* part :
       {"T5EncoderModel", "BertModel", "LlamaModel", "MistralModel", "Qwen2Model", "Qwen3Model"})
    EXPECT_NE(found.error().message.find(part), std::string::npos) << part;
  // Longer names are other models.
  EXPECT_FALSE(find(json{{"architectures", {"Qwen2MoeForCausalLM"}}}));
  EXPECT_FALSE(find(json{{"architectures", {"LlamaBidirectionalModel"}}}));
  EXPECT_EQ(find(json{{"architectures", json::array()}}).error().code, Code::invalid_input);
}

TEST(Decoder, TakesTheWeightsUnderTheirNames) {
  for (const std::string prefix : {"model.", ""}) {
    SCOPED_TRACE(prefix);
    const json config = decoder_config();
    Checkpoint weights(decoder_weights(prefix));
    auto model = write_llama(config, weights);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(weights.unused(), std::vector<std::string>{"lm_head.weight"});
    EXPECT_EQ(weights.parameters(), 11 * 12 + 3 * 12 + 2 * 18 * 12 + 2 * 6 * 12 + 3 * 10 * 12);
    ASSERT_TRUE(check(*model));
    // [out, in] = [10, 12] counts up row by row; transposed, the first row is every 12th.
    const auto* gate = model->graph.find_initializer(prefix + "layers.0.mlp.gate_proj.weight.T");
    ASSERT_NE(gate, nullptr);
    EXPECT_TRUE(gate->lazy());
    EXPECT_EQ(gate->shape(), (Shape{12, 10}));
    const auto tensor = gate->tensor();
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->data<float>()[1], 12);
    EXPECT_EQ(tensor->data<float>()[10], 1);
    EXPECT_EQ(tensor->data<float>()[119], 119);
    EXPECT_NE(model->graph.find_initializer(prefix + "embed_tokens.weight"), nullptr);
  }
}

TEST(Decoder, FlatGraphIsStandardAndNamedAfterTheModules) {
  auto model = write(decoder_config(), decoder_weights());
  ASSERT_TRUE(model);
  ASSERT_TRUE(inline_functions(*model));
  hoist_constants(model->graph);
  ASSERT_TRUE(check(*model));
  EXPECT_EQ(model->opset_imports, (std::map<std::string, int64_t>{{"", 17}}));
  std::map<std::string, size_t> ops;
  std::vector<std::string> names;
  for (const auto& node : model->graph.nodes) {
    EXPECT_TRUE(node.domain.empty());
    ++ops[node.op_type];
    names.push_back(node.name);
  }
  EXPECT_EQ(ops["Constant"], 0U);
  EXPECT_EQ(ops["Cos"], 1U);  // once for all layers
  EXPECT_EQ(ops["Where"], 1U);
  for (const auto* name :
       {"/embed_tokens/Gather", "/layers.0/input_layernorm/RMSNorm/Pow",
        "/layers.0/self_attn/q_proj/MatMul", "/layers.0/self_attn/GroupedQueryAttention/Softmax",
        "/layers.0/mlp/down_proj/MatMul", "/norm/RMSNorm/Mul"})
    EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
  // q, k and v share the norm's output, which a Mul by the gain makes.
  std::string shared;
  for (const auto& node : model->graph.nodes) {
    if (node.name == "/layers.0/self_attn/q_proj/MatMul") shared = node.inputs[0];
    const bool other = node.name == "/layers.0/self_attn/k_proj/MatMul" ||
                       node.name == "/layers.0/self_attn/v_proj/MatMul";
    EXPECT_TRUE(!other || node.inputs[0] == shared) << node.name;
  }
  const GraphIndex index(model->graph);
  const Node& producer = model->graph.nodes[index.producer(shared)];
  EXPECT_EQ(producer.op_type, "Mul");
  EXPECT_EQ(producer.inputs[1], "model.layers.0.input_layernorm.weight");
}

TEST(Decoder, RefusesWhatItWouldGetWrong) {
  struct Case {
    json change;
    Code code;
    std::string part;
  };
  const std::vector<Case> cases = {
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, Code::unsupported, "yarn"},
      {{{"rope_scaling", {{"type", "dynamic"}, {"factor", 4.0}}}}, Code::unsupported, "dynamic"},
      {{{"rope_scaling", {{"type", "linear"}}}}, Code::invalid_input, "factor"},
      {{{"rope_scaling", 3}}, Code::invalid_input, "rope_scaling"},
      {{{"rope_parameters", {{"rope_type", "longrope"}}}}, Code::unsupported, "longrope"},
      {{{"partial_rotary_factor", 0.5}}, Code::unsupported, "partial_rotary_factor"},
      {{{"hidden_act", "mish"}}, Code::unsupported, "mish"},
      {{{"is_causal", false}}, Code::unsupported, "causal"},
      {{{"quantization_config", {{"bits", 4}}}}, Code::unsupported, "quantization_config"},
      {{{"num_key_value_heads", 2}}, Code::invalid_input, "num_key_value_heads"},
      {{{"num_attention_heads", 0}}, Code::invalid_input, "num_attention_heads"},
      {{{"num_hidden_layers", 2000000000}}, Code::invalid_input, "num_hidden_layers"},
      {{{"hidden_size", nullptr}}, Code::invalid_input, "hidden_size"},
      {{{"hidden_size", "12"}}, Code::invalid_input, "hidden_size"},
      {{{"hidden_size", -12}}, Code::invalid_input, "hidden_size"},
      {{{"head_dim", 5}}, Code::invalid_input, "head_dim"},
      {{{"rms_norm_eps", 0}}, Code::invalid_input, "rms_norm_eps"},
      {{{"rope_theta", -1}}, Code::invalid_input, "rope_theta"},
      // The config and the tensors contradict each other: both shapes are named.
      {{{"vocab_size", 13}}, Code::invalid_input, "\"model.embed_tokens.weight\" is [11, 12]"},
      {{{"vocab_size", 13}}, Code::invalid_input, "[13, 12]"},
      {{{"intermediate_size", 9}}, Code::invalid_input, "gate_proj"},
      {{{"num_hidden_layers", 2}}, Code::not_found, "model.layers.1."},
      {{{"attention_bias", true}}, Code::not_found, "q_proj.bias"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.change.dump());
    json config = decoder_config();
    config.update(c.change);
    expect_error(write(config, decoder_weights()), c.code, c.part);
  }
  expect_error(write(decoder_config(), bert_weights("", "weight", "bias")), Code::not_found,
               "embed_tokens.weight");
}

size_t window_masks(const json& change, const std::string& architecture) {
  json config = decoder_config();
  config.update(change);
  config["architectures"] = {architecture};
  auto source = decoder_weights();
  for (const auto* name : {"q", "k", "v"})
    source->entries_.push_back({std::string("model.layers.0.self_attn.") + name + "_proj.bias",
                                {name[0] == 'q' ? 18 : 6},
                                "F32"});
  const auto model = write(config, source);
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return 99;
  return static_cast<size_t>(std::count_if(model->graph.nodes.begin(), model->graph.nodes.end(),
                                           [](const Node& n) { return n.op_type == "Greater"; }));
}

TEST(Decoder, WindowsOnlyWhereTheyMatter) {
  EXPECT_EQ(window_masks({{"sliding_window", 5}}, "MistralModel"), 1U);
  EXPECT_EQ(window_masks({{"sliding_window", nullptr}}, "MistralModel"), 0U);
  EXPECT_EQ(window_masks({{"sliding_window", 64}}, "MistralModel"), 0U);  // as long as any text
  EXPECT_EQ(window_masks({{"sliding_window", 5}}, "LlamaModel"), 0U);
  EXPECT_EQ(window_masks({{"sliding_window", 5}}, "Qwen2Model"), 0U);
  const json on = {{"use_sliding_window", true}, {"sliding_window", 5}};
  EXPECT_EQ(window_masks(on, "Qwen2Model"), 0U);  // from layer 28 on
  json first = on;
  first["max_window_layers"] = 0;
  EXPECT_EQ(window_masks(first, "Qwen2Model"), 1U);
  first["layer_types"] = {"full_attention"};
  EXPECT_EQ(window_masks(first, "Qwen2Model"), 0U);
}

TEST(Bert, OldAndNewNames) {
  for (const std::string prefix : {"", "bert."}) {
    for (const bool old : {false, true}) {
      const auto model = write(
          bert_config(), bert_weights(prefix, old ? "gamma" : "weight", old ? "beta" : "bias"));
      ASSERT_TRUE(model) << model.error().message;
      EXPECT_NE(model->graph.find_initializer(prefix + "embeddings.LayerNorm." +
                                              (old ? "gamma" : "weight")),
                nullptr);
      ASSERT_EQ(model->graph.inputs.size(), 3U);
      EXPECT_EQ(model->graph.inputs[2].name, "token_type_ids");
    }
  }
}

TEST(Bert, RefusesWhatItWouldGetWrong) {
  struct Case {
    json change;
    Code code;
    std::string part;
  };
  const std::vector<Case> cases = {
      {{{"position_embedding_type", "relative_key"}}, Code::unsupported, "relative_key"},
      {{{"is_decoder", true}}, Code::unsupported, "is_decoder"},
      {{{"hidden_act", "mish"}}, Code::unsupported, "mish"},
      {{{"num_attention_heads", 5}}, Code::invalid_input, "num_attention_heads"},
      {{{"max_position_embeddings", 65}}, Code::invalid_input, "position_embeddings"},
      {{{"type_vocab_size", 1}}, Code::invalid_input, "token_type_embeddings"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.change.dump());
    json config = bert_config();
    config.update(c.change);
    expect_error(write(config, bert_weights("", "weight", "bias")), c.code, c.part);
  }
}

}  // namespace
}  // namespace octavo::architectures
