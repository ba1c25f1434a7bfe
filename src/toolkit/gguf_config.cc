#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "formats/json.h"
#include "toolkit/gguf_snapshot.h"

namespace octavo {

namespace {

using nlohmann::json;

struct Architecture {
  std::string_view gguf;
  const char* model_type;
  const char* model_class;
};
constexpr std::array kArchitectures{
    Architecture{"llama", "llama", "LlamaForCausalLM"},  // Mistral too: the files do not tell
    Architecture{"qwen2", "qwen2", "Qwen2ForCausalLM"},
    Architecture{"qwen3", "qwen3", "Qwen3ForCausalLM"},
    Architecture{"bert", "bert", "BertModel"},
};

// A float32 of the file as the decimal number somebody once wrote: 1e-05, not 9.99999974e-06.
double shortest(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, static_cast<float>(value)).ptr;
  double out = value;
  std::from_chars(text, end, out);
  return out;
}

// Reads `<architecture>.<name>` keys.
class Keys {
 public:
  Keys(const Gguf& file, std::string_view architecture) : file_(file), prefix_(architecture) {
    prefix_ += '.';
  }
  std::string name(const std::string& key) const { return prefix_ + key; }
  bool has(const std::string& key) const { return file_.value(name(key)) != nullptr; }

  std::optional<int64_t> integer(const std::string& key) const { return file_.integer(name(key)); }
  std::optional<double> number(const std::string& key) const { return file_.number(name(key)); }
  std::optional<bool> boolean(const std::string& key) const { return file_.boolean(name(key)); }
  std::string text(const std::string& key) const {
    return std::string(file_.text(name(key)).value_or(""));
  }

  // Errors: not there, not positive, or one value a layer.
  Result<int64_t> positive(const std::string& key) const {
    const GgufValue* value = file_.value(name(key));
    if (value == nullptr)
      return Error{Code::invalid_input, "the metadata key " + name(key) + " is missing"};
    if (value->array() != nullptr)
      return Error{Code::unsupported, name(key) + " differs from layer to layer"};
    const auto n = value->integer();
    if (!n || *n <= 0 || *n > (int64_t{1} << 31))
      return Error{Code::invalid_input, "the metadata key " + name(key) + " is no usable number"};
    return *n;
  }
  Result<double> positive_number(const std::string& key) const {
    const auto n = number(key);
    if (!n || !(*n > 0) || !std::isfinite(*n))
      return Error{Code::invalid_input, "the metadata key " + name(key) + " is no positive number"};
    return shortest(*n);
  }

 private:
  const Gguf& file_;
  std::string prefix_;
};

// Llama 3 scaling is not written as metadata but as one divisor a frequency, rope_freqs.weight:
// 1 for short waves, `factor` for long ones, between them 1 / ((1 - s) / factor + s) with
// s = (original / wavelength - low) / (high - low). All published models have low = 1 and high = 4;
// the parameters are accepted only if they give the stored divisors back.
Result<json> llama3_scaling(const Gguf& file, double theta) {
  OCTAVO_TRY(const Tensor stored, file.load("rope_freqs.weight"));
  const auto divisors = stored.values<float>();
  if (divisors.empty()) return Error{Code::invalid_input, "rope_freqs.weight is empty"};
  const double low = 1;
  const double high = 4;
  const double factor = *std::max_element(divisors.begin(), divisors.end());
  const auto wavelength = [&](size_t i) {
    return 2 * M_PI *
           std::pow(theta, static_cast<double>(i) / static_cast<double>(divisors.size()));
  };
  const auto divisor = [&](size_t i, double original) {
    const double ratio = original / wavelength(i);
    if (ratio > high) return 1.0;
    if (ratio < low) return factor;
    const double s = (ratio - low) / (high - low);
    return 1 / ((1 - s) / factor + s);
  };
  double original = 8192;
  for (size_t i = 0; i < divisors.size(); ++i) {
    // The first blend says what the original context was.
    const double d = divisors[i];
    if (d <= 1 || d >= factor * 0.999) continue;
    const double s = (1 / d - 1 / factor) / (1 - 1 / factor);
    original = std::round((s * (high - low) + low) * wavelength(i));
    break;
  }
  for (size_t i = 0; i < divisors.size(); ++i)
    if (std::abs(divisor(i, original) - static_cast<double>(divisors[i])) > 1e-4 * factor)
      return Error{Code::unsupported, "rope_freqs.weight is not the scaling of Llama 3 (divisor " +
                                          std::to_string(i) + " is " + std::to_string(divisors[i]) +
                                          ")"};
  return json{{"rope_type", "llama3"},
              {"factor", shortest(factor)},
              {"low_freq_factor", low},
              {"high_freq_factor", high},
              {"original_max_position_embeddings", static_cast<int64_t>(original)}};
}

Result<json> rope_scaling(const Gguf& file, const Keys& keys, double theta) {
  if (file.find("rope_factors_long.weight") != nullptr)
    return Error{Code::unsupported, "longrope scaling (rope_factors_long.weight)"};
  const std::string type = keys.text("rope.scaling.type");
  if (!type.empty() && type != "none") {
    json scaling = {{"rope_type", type}};
    OCTAVO_TRY(scaling["factor"], keys.positive_number("rope.scaling.factor"));
    if (const auto n = keys.integer("rope.scaling.original_context_length"))
      scaling["original_max_position_embeddings"] = *n;
    return scaling;
  }
  if (file.find("rope_freqs.weight") != nullptr) {
    OCTAVO_TRY(json scaling, llama3_scaling(file, theta));
    // Models without scaling carry divisors of 1 in some old files.
    return scaling["factor"] == 1.0 ? json(nullptr) : std::move(scaling);
  }
  return json(nullptr);
}

Status decoder_config(const Gguf& file, const Keys& keys, json& config) {
  OCTAVO_TRY(const int64_t hidden, keys.positive("embedding_length"));
  OCTAVO_TRY(const int64_t heads, keys.positive("attention.head_count"));
  config["hidden_size"] = hidden;
  config["num_attention_heads"] = heads;
  OCTAVO_TRY(config["num_hidden_layers"], keys.positive("block_count"));
  OCTAVO_TRY(config["intermediate_size"], keys.positive("feed_forward_length"));
  OCTAVO_TRY(config["max_position_embeddings"], keys.positive("context_length"));
  OCTAVO_TRY(config["rms_norm_eps"], keys.positive_number("attention.layer_norm_rms_epsilon"));
  config["num_key_value_heads"] = heads;
  if (keys.has("attention.head_count_kv")) {
    OCTAVO_TRY(config["num_key_value_heads"], keys.positive("attention.head_count_kv"));
  }
  if (keys.integer("expert_count").value_or(0) > 0)
    return Error{Code::unsupported, "a mixture of experts (" + keys.name("expert_count") + ")"};
  if (!keys.boolean("attention.causal").value_or(true))
    return Error{Code::unsupported,
                 "attention in both directions (" + keys.name("attention.causal") + " is false)"};

  int64_t head_dim = hidden / heads;
  if (keys.has("attention.key_length")) {
    OCTAVO_TRY(head_dim, keys.positive("attention.key_length"));
  } else if (hidden % heads != 0) {
    return Error{Code::invalid_input, keys.name("embedding_length") + " is no multiple of " +
                                          keys.name("attention.head_count")};
  }
  config["head_dim"] = head_dim;
  if (keys.integer("attention.value_length").value_or(head_dim) != head_dim)
    return Error{Code::unsupported, "keys and values of different length"};
  if (keys.integer("rope.dimension_count").value_or(head_dim) != head_dim)
    return Error{Code::unsupported, "rotary embedding of a part of the head (" +
                                        keys.name("rope.dimension_count") + ")"};

  double theta = 10000;  // what every reader assumes
  if (keys.has("rope.freq_base")) {
    OCTAVO_TRY(theta, keys.positive_number("rope.freq_base"));
  }
  config["rope_theta"] = theta;
  OCTAVO_TRY(config["rope_scaling"], rope_scaling(file, keys, theta));
  if (const auto window = keys.integer("attention.sliding_window")) {
    config["sliding_window"] = *window;
    config["use_sliding_window"] = true;
  }
  config["hidden_act"] = "silu";
  config["attention_bias"] = file.find("blk.0.attn_q.bias") != nullptr;
  config["mlp_bias"] = file.find("blk.0.ffn_up.bias") != nullptr;
  config["tie_word_embeddings"] = file.find("output.weight") == nullptr;
  return Done{};
}

Status encoder_config(const Gguf& file, const Keys& keys, json& config) {
  OCTAVO_TRY(config["hidden_size"], keys.positive("embedding_length"));
  OCTAVO_TRY(config["num_attention_heads"], keys.positive("attention.head_count"));
  OCTAVO_TRY(config["num_hidden_layers"], keys.positive("block_count"));
  OCTAVO_TRY(config["intermediate_size"], keys.positive("feed_forward_length"));
  OCTAVO_TRY(config["layer_norm_eps"], keys.positive_number("attention.layer_norm_epsilon"));
  OCTAVO_TRY(config["max_position_embeddings"], keys.positive("context_length"));
  for (const auto& [tensor, key] : {std::pair("position_embd.weight", "max_position_embeddings"),
                                    std::pair("token_types.weight", "type_vocab_size")}) {
    const WeightEntry* entry = file.find(tensor);
    if (entry == nullptr || entry->shape.size() != 2)
      return Error{Code::unsupported, std::string("a BERT without ") + tensor};
    config[key] = entry->shape[0];
  }
  config["hidden_act"] = "gelu";
  config["position_embedding_type"] = "absolute";
  return Done{};
}

}  // namespace

Result<json> gguf_config(const Gguf& file) {
  const std::string name(file.text("general.architecture").value_or(""));
  if (name.empty())
    return Error{Code::invalid_input, "the metadata key general.architecture is missing"};
  const auto known = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const Architecture& a) { return a.gguf == name; });
  if (known == kArchitectures.end()) {
    std::string names;
    for (const Architecture& a : kArchitectures)
      names += (names.empty() ? "" : ", ") + std::string(a.gguf);
    return Error{Code::unsupported,
                 "the architecture " + quote(name) + "; these are known: " + names};
  }
  if (file.text("general.type").value_or("model") != "model")
    return Error{Code::unsupported, "a GGUF of type " + quote(*file.text("general.type")) +
                                        "; merge it into its model first"};
  if (const auto parts = file.integer("split.count").value_or(1); parts > 1)
    return Error{Code::unsupported, "one of " + std::to_string(parts) +
                                        " parts; join them with llama-gguf-split --merge"};

  json config = {{"model_type", known->model_type},
                 {"architectures", {known->model_class}},
                 {"torch_dtype", "float32"}};
  const Keys keys(file, name);
  OCTAVO_CHECK(name == "bert" ? encoder_config(file, keys, config)
                              : decoder_config(file, keys, config));
  const WeightEntry* embedding = file.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    return Error{Code::invalid_input,
                 "has no matrix token_embd.weight (a file of the vocabulary "
                 "alone?)"};
  config["vocab_size"] = embedding->shape[0];
  for (const auto& [key, gguf_key] : {std::pair("bos_token_id", "tokenizer.ggml.bos_token_id"),
                                      std::pair("eos_token_id", "tokenizer.ggml.eos_token_id"),
                                      std::pair("pad_token_id", "tokenizer.ggml.padding_token_id")})
    if (const auto id = file.integer(gguf_key)) config[key] = *id;
  return config;
}

}  // namespace octavo
