#include <cmath>
#include <cstdlib>

#include "formats/crc32.h"
#include "formats/gguf_bytes.h"
#include "formats/json.h"
#include "temp_folder.h"
#include "text/tokenizer.h"
#include "toolkit/snapshot.h"

namespace octavo {
namespace {

// A Llama of two layers' worth of metadata, without a tokenizer.
GgufFileBytes llama_without_tokenizer(const std::string& architecture = "llama") {
  const std::string a = architecture + ".";
  GgufFileBytes f;
  f.text("general.architecture", architecture)
      .u32(a + "block_count", 1)
      .u32(a + "context_length", 128)
      .u32(a + "embedding_length", 8)
      .u32(a + "feed_forward_length", 16)
      .u32(a + "attention.head_count", 2)
      .u32(a + "attention.head_count_kv", 1)
      .f32(a + "attention.layer_norm_rms_epsilon", 1e-5F)
      .f32(a + "rope.freq_base", 500000.0F);
  return f;
}

// Byte-level BPE with eight tokens.
GgufFileBytes& with_tokenizer(GgufFileBytes& f, const std::string& pre = "gpt-2") {
  f.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
  f.texts("tokenizer.ggml.tokens", {"<|end|>", "a", "b", "ab", "\xc4\xa0",
                                    "\xc4\xa0"
                                    "a",
                                    "<x>", "[PAD7]"});
  f.i32s("tokenizer.ggml.token_type", {3, 1, 1, 1, 1, 1, 4, 5});
  f.texts("tokenizer.ggml.merges", {"a b", "\xc4\xa0 a"});
  f.u32("tokenizer.ggml.eos_token_id", 0);
  return f;
}

class SnapshotGgufTest : public TempFolder {
 protected:
  Result<Snapshot> open(const GgufFileBytes& file) const {
    std::filesystem::remove(folder_ / "m.gguf");
    return open_snapshot(put("m.gguf", file.str()));
  }
  void expect_error(const GgufFileBytes& file, const std::string& says, Code code) const {
    auto s = open(file);
    ASSERT_FALSE(s) << says;
    EXPECT_EQ(s.error().code, code) << s.error().message;
    EXPECT_NE(s.error().message.find(says), std::string::npos) << s.error().message;
    EXPECT_NE(s.error().message.find("m.gguf: "), std::string::npos) << s.error().message;
  }
  static std::vector<int64_t> ids(const Snapshot& s, const std::string& text) {
    auto tokenizer = Tokenizer::parse(s.files.at("tokenizer.json"), "tokenizer.json");
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    if (!tokenizer) return {};
    auto encoding = tokenizer->encode(text);
    EXPECT_TRUE(encoding) << encoding.error().message;
    return encoding ? encoding->ids : std::vector<int64_t>{};
  }
};
using Ids = std::vector<int64_t>;

TEST_F(SnapshotGgufTest, ConfigNamesAndRowsAreThoseOfTheOriginal) {
  GgufFileBytes f = llama_without_tokenizer();
  with_tokenizer(f).tensor("token_embd.weight", {8, 8}).tensor("output_norm.weight", {8});
  // Rows 0..7: head 0 is 0..3, head 1 is 4..7; inside a head the file has (0, half), (2, half+).
  std::vector<float> rows;
  for (int r = 0; r < 8; ++r) rows.insert(rows.end(), 8, static_cast<float>(r));
  f.tensor("blk.0.attn_q.weight", {8, 8}, rows).tensor("blk.0.attn_k.weight", {4, 8}, rows);
  f.tensor("blk.0.attn_v.weight", {4, 8}, rows)
      .tensor("blk.0.attn_q.bias", {8}, {0, 1, 2, 3, 4, 5, 6, 7});
  f.tensor("blk.0.ffn_gate.weight", {16, 8}).tensor("blk.0.attn_output.weight", {8, 8});
  f.tensor("blk.0.ffn_norm.weight", {8}).tensor("strange.weight", {1});
  auto s = open(f);
  ASSERT_TRUE(s) << s.error().message;
  const auto& c = s->config;
  EXPECT_EQ(json_string(c, "model_type", ""), "llama");
  EXPECT_EQ(c["architectures"], nlohmann::json{"LlamaForCausalLM"});
  EXPECT_EQ(json_int(c, "hidden_size", 0), 8);
  EXPECT_EQ(json_int(c, "num_hidden_layers", 0), 1);
  EXPECT_EQ(json_int(c, "intermediate_size", 0), 16);
  EXPECT_EQ(json_int(c, "num_attention_heads", 0), 2);
  EXPECT_EQ(json_int(c, "num_key_value_heads", 0), 1);
  EXPECT_EQ(json_int(c, "head_dim", 0), 4);
  EXPECT_EQ(json_int(c, "vocab_size", 0), 8);
  EXPECT_EQ(json_int(c, "max_position_embeddings", 0), 128);
  EXPECT_EQ(json_double(c, "rms_norm_eps", 0), 1e-5) << "not 9.99999974e-06";
  EXPECT_EQ(json_double(c, "rope_theta", 0), 500000.0);
  EXPECT_TRUE(c["rope_scaling"].is_null());
  EXPECT_EQ(json_bool(c, "tie_word_embeddings", false), true);
  EXPECT_EQ(json_bool(c, "attention_bias", false), true);
  EXPECT_EQ(json_int(c, "eos_token_id", -1), 0);
  EXPECT_EQ(*parse_json(s->files.at("config.json"), "config.json"), c);

  auto q = s->weights->load("model.layers.0.self_attn.q_proj.weight");
  ASSERT_TRUE(q) << q.error().message;
  std::vector<float> order;
  for (size_t r = 0; r < 8; ++r) order.push_back(q->values<float>()[r * 8]);
  EXPECT_EQ(order, (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  auto bias = s->weights->load("model.layers.0.self_attn.q_proj.bias");
  ASSERT_TRUE(bias);
  EXPECT_EQ(bias->values<float>()[1], 2.0F);
  EXPECT_EQ(s->weights->load("model.layers.0.self_attn.k_proj.weight")->values<float>()[8], 2.0F);
  EXPECT_EQ(s->weights->load("model.layers.0.self_attn.v_proj.weight")->values<float>()[8], 1.0F);
  for (const char* name :
       {"model.embed_tokens.weight", "model.norm.weight", "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.self_attn.o_proj.weight", "model.layers.0.post_attention_layernorm.weight",
        "strange.weight"})
    EXPECT_NE(s->weights->find(name), nullptr) << name;
  EXPECT_EQ(s->weights->entries().size(), 10U);
  EXPECT_EQ(s->weights->load("lm_head.weight").error().code, Code::not_found);
}

TEST_F(SnapshotGgufTest, QwenRowsStayAndItsHeadsMayBeOfAnyLength) {
  GgufFileBytes f = llama_without_tokenizer("qwen3");
  f.u32("qwen3.attention.key_length", 6).u32("qwen3.pooling_type", 3);
  with_tokenizer(f, "qwen2").tensor("token_embd.weight", {9, 8}).tensor("output.weight", {9, 8});
  f.tensor("blk.0.attn_q.weight", {12, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  f.tensor("blk.0.attn_q_norm.weight", {6});
  auto s = open(f);
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(json_int(s->config, "head_dim", 0), 6);
  EXPECT_EQ(json_string(s->config, "model_type", ""), "qwen3");
  EXPECT_EQ(json_bool(s->config, "tie_word_embeddings", true), false);
  EXPECT_EQ(json_int(s->config, "vocab_size", 0), 9);
  auto q = s->weights->load("model.layers.0.self_attn.q_proj.weight");
  ASSERT_TRUE(q);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(q->values<float>()[i], static_cast<float>(i));
  EXPECT_NE(s->weights->find("model.layers.0.self_attn.q_norm.weight"), nullptr);
  EXPECT_NE(s->weights->find("lm_head.weight"), nullptr);
  const auto pooling = *parse_json(s->files.at("1_Pooling/config.json"), "pooling");
  EXPECT_EQ(json_bool(pooling, "pooling_mode_lasttoken", false), true);
  EXPECT_EQ(json_bool(pooling, "pooling_mode_mean_tokens", true), false);
  EXPECT_EQ(json_int(pooling, "word_embedding_dimension", 0), 8);
  const auto modules = *parse_json(s->files.at("modules.json"), "modules");
  EXPECT_EQ(json_string(modules[1], "path", ""), "1_Pooling");
  EXPECT_EQ(json_string(modules[2], "type", ""), "sentence_transformers.models.Normalize");
}

TEST_F(SnapshotGgufTest, RotaryScalingIsReadBack) {
  // Divisors as the converter writes them for Llama 3.2: factor 32, low 1, high 4, 8192.
  const auto divisors = [](double factor, double original, size_t n, double theta) {
    std::vector<float> out;
    for (size_t i = 0; i < n; ++i) {
      const double wave =
          2 * M_PI * std::pow(theta, static_cast<double>(i) / static_cast<double>(n));
      const double smooth = (original / wave - 1) / 3;
      const double d = wave < original / 4 ? 1
                       : wave > original   ? factor
                                           : 1 / ((1 - smooth) / factor + smooth);
      out.push_back(static_cast<float>(d));
    }
    return out;
  };
  const auto scaled = [&](const std::vector<float>& freqs) {
    GgufFileBytes f = llama_without_tokenizer();
    with_tokenizer(f).tensor("token_embd.weight", {8, 8});
    return f.tensor("rope_freqs.weight", {freqs.size()}, freqs);
  };
  for (const double original : {8192.0, 4096.0}) {
    auto s = open(scaled(divisors(32, original, 64, 500000)));
    ASSERT_TRUE(s) << s.error().message;
    const auto& r = s->config["rope_scaling"];
    EXPECT_EQ(json_string(r, "rope_type", ""), "llama3");
    EXPECT_EQ(json_double(r, "factor", 0), 32.0);
    EXPECT_EQ(json_double(r, "low_freq_factor", 0), 1.0);
    EXPECT_EQ(json_double(r, "high_freq_factor", 0), 4.0);
    EXPECT_EQ(json_int(r, "original_max_position_embeddings", 0), original);
    EXPECT_EQ(s->weights->find("rope_freqs.weight"), nullptr);
  }
  EXPECT_TRUE(open(scaled(std::vector<float>(64, 1.0F)))->config["rope_scaling"].is_null());
  auto odd = divisors(32, 8192, 64, 500000);
  odd[10] = 3;
  expect_error(scaled(odd), "rope_freqs.weight is not the scaling of Llama 3", Code::unsupported);

  GgufFileBytes linear = llama_without_tokenizer();
  with_tokenizer(linear).tensor("token_embd.weight", {8, 8});
  linear.text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 2.5F);
  const auto s = open(linear);
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->config["rope_scaling"], (nlohmann::json{{"rope_type", "linear"}, {"factor", 2.5}}));
}

TEST_F(SnapshotGgufTest, SaysWhatItCannotRead) {
  const auto base = [](const std::string& architecture = "llama") {
    GgufFileBytes f = llama_without_tokenizer(architecture);
    with_tokenizer(f).tensor("token_embd.weight", {8, 8});
    return f;
  };
  ASSERT_TRUE(open(base()));
  expect_error(base("gemma3"), "the architecture \"gemma3\"; these are known: llama, qwen2, qwen3",
               Code::unsupported);
  expect_error(base().u32("llama.expert_count", 8), "a mixture of experts", Code::unsupported);
  expect_error(base().boolean("llama.attention.causal", false), "attention in both directions",
               Code::unsupported);
  expect_error(base().u32("llama.rope.dimension_count", 2), "a part of the head",
               Code::unsupported);
  expect_error(base().u32("llama.attention.value_length", 2), "different length",
               Code::unsupported);
  expect_error(base().u32("split.count", 3), "one of 3 parts", Code::unsupported);
  expect_error(base().text("general.type", "adapter"), "of type \"adapter\"", Code::unsupported);
  expect_error(GgufFileBytes(), "general.architecture is missing", Code::invalid_input);
  expect_error(GgufFileBytes().text("general.architecture", "llama"),
               "llama.embedding_length is missing", Code::invalid_input);
  GgufFileBytes zero = GgufFileBytes().text("general.architecture", "llama");
  expect_error(zero.u32("llama.embedding_length", 0), "llama.embedding_length is no usable number",
               Code::invalid_input);
  GgufFileBytes per_layer = GgufFileBytes().text("general.architecture", "llama");
  per_layer.u32("llama.embedding_length", 8).i32s("llama.attention.head_count", {2, 4});
  expect_error(per_layer, "differs from layer to layer", Code::unsupported);
  GgufFileBytes small = llama_without_tokenizer();
  with_tokenizer(small).tensor("token_embd.weight", {7, 8});
  expect_error(small, "8 tokens, but only 7 rows", Code::invalid_input);

  GgufFileBytes none = llama_without_tokenizer();
  expect_error(none.tensor("token_embd.weight", {8, 8}), "has no tokenizer", Code::invalid_input);
  GgufFileBytes pre = llama_without_tokenizer();
  with_tokenizer(pre, "superb").tensor("token_embd.weight", {8, 8});
  expect_error(pre, "the pre-tokenizer \"superb\"", Code::unsupported);
  const auto with_model = [](const std::string& model) {
    GgufFileBytes f = llama_without_tokenizer();
    f.text("tokenizer.ggml.model", model).texts("tokenizer.ggml.tokens", {"a", "b"});
    return f.tensor("token_embd.weight", {8, 8});
  };
  expect_error(with_model("rwkv"), "the tokenizer \"rwkv\"; these are known", Code::unsupported);
  expect_error(with_model("gpt2"), "has no tokenizer.ggml.merges", Code::invalid_input);
  expect_error(with_model("gpt2").texts("tokenizer.ggml.merges", {"a c"}),
               "\"a c\" are not two tokens", Code::invalid_input);
  expect_error(with_model("gpt2").texts("tokenizer.ggml.merges", {"ab"}), "not two tokens",
               Code::invalid_input);
  expect_error(with_model("llama"), "tokenizer.ggml.scores", Code::invalid_input);
  expect_error(with_model("bert"), "without its [UNK]", Code::invalid_input);
  expect_error(with_model("gpt2").u32("tokenizer.ggml.eos_token_id", 2), "eos_token_id is no token",
               Code::invalid_input);
  expect_error(with_model("gpt2").i32s("tokenizer.ggml.token_type", {1}), "not as long",
               Code::invalid_input);
  GgufFileBytes bad_text = llama_without_tokenizer();
  bad_text.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"\xff"});
  bad_text.texts("tokenizer.ggml.merges", {}).tensor("token_embd.weight", {8, 8});
  expect_error(bad_text, "UTF-8", Code::invalid_input);
}

TEST_F(SnapshotGgufTest, ByteLevelTokensAndWhatGoesAroundThem) {
  const auto model = [](auto&&... set) {
    GgufFileBytes f = llama_without_tokenizer();
    with_tokenizer(f).tensor("token_embd.weight", {8, 8});
    (set(f), ...);
    return f;
  };
  auto s = open(model());
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(ids(*s, "ab a<x>b<|end|>"), (Ids{3, 5, 6, 2, 0}));
  EXPECT_EQ(ids(*s, "[PAD7]"), Ids{})
      << "filler is no token, and its letters are not in the vocabulary";
  const auto map = *parse_json(s->files.at("special_tokens_map.json"), "map");
  EXPECT_EQ(map, (nlohmann::json{{"eos_token", "<|end|>"}, {"pad_token", "<|end|>"}}));
  const auto settings = *parse_json(s->files.at("tokenizer_config.json"), "settings");
  EXPECT_EQ(json_bool(settings["added_tokens_decoder"]["0"], "special", false), true);
  EXPECT_EQ(json_bool(settings["added_tokens_decoder"]["6"], "special", true), false);
  EXPECT_EQ(settings["added_tokens_decoder"].size(), 2U);
  EXPECT_EQ(json_int(settings, "model_max_length", 0), 128);

  s = open(model([](GgufFileBytes& f) { f.boolean("tokenizer.ggml.add_eos_token", true); }));
  EXPECT_EQ(ids(*s, "a"), (Ids{1, 0}));
  s = open(model([](GgufFileBytes& f) {
    f.boolean("tokenizer.ggml.add_bos_token", true).u32("tokenizer.ggml.bos_token_id", 6);
  }));
  EXPECT_EQ(ids(*s, "a"), (Ids{6, 1}));
  expect_error(model([](GgufFileBytes& f) { f.boolean("tokenizer.ggml.add_bos_token", true); }),
               "asks for a token at the begin", Code::invalid_input);
}

TEST_F(SnapshotGgufTest, SentencePieceMergesByScoreAndFallsBackToBytes) {
  GgufFileBytes f = llama_without_tokenizer();
  const std::string blank = "\xe2\x96\x81";
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types{2, 3, 3};
  std::vector<float> scores{0, 0, 0};
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", b);
    tokens.emplace_back(name);
    types.push_back(6);
    scores.push_back(0);
  }
  // 259.. : "bc" scores better than "ab", so "abc" is a + bc although "ab" comes first.
  for (const auto& [piece, score] :
       std::initializer_list<std::pair<std::string, float>>{{"a", -10},
                                                            {"b", -11},
                                                            {"c", -12},
                                                            {blank, -13},
                                                            {"ab", -5},
                                                            {"bc", -4},
                                                            {blank + "a", -3}}) {
    tokens.push_back(piece);
    types.push_back(1);
    scores.push_back(score);
  }
  f.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", tokens);
  f.i32s("tokenizer.ggml.token_type", types).f32s("tokenizer.ggml.scores", scores);
  f.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
  f.u32("tokenizer.ggml.unknown_token_id", 0).tensor("token_embd.weight", {tokens.size(), 8});
  auto s = open(f);
  ASSERT_TRUE(s) << s.error().message;
  const int64_t a = 259;
  EXPECT_EQ(ids(*s, "abc"), (Ids{1, a + 6, a + 5}));  // _a bc
  EXPECT_EQ(ids(*s, "b abc"), (Ids{1, a + 3, a + 1, a + 6, a + 5}));
  EXPECT_EQ(ids(*s, "\xc3\xa4"), (Ids{1, a + 3, 3 + 0xc3, 3 + 0xa4}));
  s = open(f.boolean("tokenizer.ggml.add_space_prefix", false)
               .boolean("tokenizer.ggml.add_bos_token", false));
  EXPECT_EQ(ids(*s, "abc"), (Ids{a, a + 5}));
}

TEST_F(SnapshotGgufTest, BertHasItsNamesAndWordPiecesBack) {
  const std::string blank = "\xe2\x96\x81";
  const auto bert = [&](const std::string& word) {
    GgufFileBytes f;
    f.text("general.architecture", "bert")
        .u32("bert.block_count", 1)
        .u32("bert.context_length", 64);
    f.u32("bert.embedding_length", 4).u32("bert.feed_forward_length", 8);
    f.u32("bert.attention.head_count", 2).f32("bert.attention.layer_norm_epsilon", 1e-12F);
    f.boolean("bert.attention.causal", false).u32("bert.pooling_type", 2);
    f.text("tokenizer.ggml.model", "bert");
    f.texts("tokenizer.ggml.tokens", {"[PAD]", "[UNK]", "[CLS]", "[SEP]", blank + word, "ing",
                                      blank, blank + blank, blank + ",", "[unused1]"});
    f.i32s("tokenizer.ggml.token_type", {3, 3, 3, 3, 1, 1, 1, 1, 1, 1});
    f.u32("tokenizer.ggml.cls_token_id", 2).u32("tokenizer.ggml.seperator_token_id", 3);
    f.u32("tokenizer.ggml.unknown_token_id", 1).u32("tokenizer.ggml.padding_token_id", 0);
    f.tensor("token_embd.weight", {10, 4}).tensor("position_embd.weight", {64, 4});
    f.tensor("token_types.weight", {2, 4}).tensor("token_embd_norm.bias", {4});
    f.tensor("blk.0.attn_q.weight", {4, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
    return f.tensor("blk.0.attn_output_norm.weight", {4})
        .tensor("blk.0.layer_output_norm.bias", {4});
  };
  auto s = open(bert("go"));
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->config["architectures"], nlohmann::json{"BertModel"});
  EXPECT_EQ(json_int(s->config, "type_vocab_size", 0), 2);
  EXPECT_EQ(json_int(s->config, "max_position_embeddings", 0), 64);
  EXPECT_EQ(json_double(s->config, "layer_norm_eps", 0), 1e-12);
  for (const char* name :
       {"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight", "embeddings.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.0.attention.output.LayerNorm.weight",
        "encoder.layer.0.output.LayerNorm.bias"})
    EXPECT_NE(s->weights->find(name), nullptr) << name;
  EXPECT_EQ(s->weights->load("encoder.layer.0.attention.self.query.weight")->values<float>()[1],
            1.0F);
  EXPECT_EQ(ids(*s, "Going, go"), (Ids{2, 4, 5, 8, 4, 3}));
  EXPECT_EQ(ids(*s, blank), (Ids{2, 7, 3}));
  EXPECT_EQ(ids(*s, "go" + blank), (Ids{2, 4, 6, 3}));
  EXPECT_EQ(json_bool(*parse_json(s->files.at("1_Pooling/config.json"), ""),
                      "pooling_mode_cls_token", false),
            true);
  s = open(bert("Go"));
  EXPECT_EQ(ids(*s, "Going going"), (Ids{2, 4, 5, 1, 3}))
      << "capitals: the model tells cases apart";
}

std::string smollm2() {
  const char* models = std::getenv("OCTAVO_MODELS");
  return models == nullptr ? "" : std::string(models) + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
}

// The goldens are transformers' (tools/make_gguf_golden.py).
TEST_F(SnapshotGgufTest, EveryWeightOfARealModelIsTransformers) {
  if (smollm2().empty()) GTEST_SKIP() << "no real models: OCTAVO_MODELS is not set";
  auto s = open_snapshot(smollm2());
  ASSERT_TRUE(s) << s.error().message;
  std::istringstream golden(read(OCTAVO_GOLDEN "/gguf/smollm2_weights.txt"));
  size_t n = 0;
  for (std::string line; std::getline(golden, line); ++n) {
    const std::string name = line.substr(line.rfind(' ') + 1);
    auto t = s->weights->load(name);
    ASSERT_TRUE(t) << t.error().message;
    char crc[16];
    std::snprintf(crc, sizeof crc, "%08x ", crc32(0, t->bytes()));
    EXPECT_EQ(crc + to_string(t->shape()) + " " + name, line);
    t->drop_pages();
  }
  EXPECT_EQ(n, s->weights->entries().size());
  EXPECT_EQ(n, 272U);
}

TEST_F(SnapshotGgufTest, TokenIdsOfARealModelAreTheOriginalTokenizers) {
  if (smollm2().empty()) GTEST_SKIP() << "no real models: OCTAVO_MODELS is not set";
  auto s = open_snapshot(smollm2());
  ASSERT_TRUE(s) << s.error().message;
  auto tokenizer = Tokenizer::parse(s->files.at("tokenizer.json"), "tokenizer.json");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  std::istringstream texts(read(OCTAVO_GOLDEN "/tokenizer/strings.txt"));
  std::istringstream golden(read(OCTAVO_GOLDEN "/gguf/smollm2_ids.txt"));
  size_t n = 0;
  std::string line;
  for (std::string expected; std::getline(golden, expected); ++n) {
    ASSERT_TRUE(std::getline(texts, line));
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line.compare(i, 2, "\\x") == 0) {
        text += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
        i += 3;
      } else {
        text += line[i];
      }
    }
    auto encoding = tokenizer->encode(text);
    ASSERT_TRUE(encoding);
    uint32_t hash = 2166136261U;
    for (const int64_t id : encoding->ids)
      for (const char c : std::to_string(id) + " ")
        hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
    char got[32];
    std::snprintf(got, sizeof got, "%zu:%08x", encoding->ids.size(), hash);
    EXPECT_EQ(got, expected) << "line " << n + 1 << ": " << line;
  }
  EXPECT_GE(n, 2000U);
}

}  // namespace
}  // namespace octavo
