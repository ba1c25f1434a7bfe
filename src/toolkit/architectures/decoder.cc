// Decoders of the Llama kind: pre-RMSNorm, rotary positions, grouped-query causal attention, gated
// MLP, a norm at the end. Mistral adds a sliding window, Qwen2 biases of q, k and v, Qwen3 a norm
// of every query and key head.
//
//   a layer: x = x + Wo Attention(rope(q), rope(k), v), q, k, v = W norm(x)
//            x = x + Wdown (act(Wgate norm(x)) * Wup norm(x))

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "formats/json.h"
#include "graph/functions.h"
#include "toolkit/architectures/architectures.h"
#include "toolkit/architectures/config.h"
#include "toolkit/architectures/parts.h"
#include "toolkit/architectures/rope.h"

namespace octavo::architectures {

namespace {

struct Decoder {
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_dim;
  float epsilon;
  Activation activation;
  std::vector<float> frequencies;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool head_norm = false;
  int64_t window = 0;          // 0: none
  std::vector<bool> windowed;  // by layer
};

// What every one of them reads the same way. default_head_dim 0: hidden / heads.
Decoder read_common(Config& c, int64_t default_head_dim) {
  Decoder m{};
  m.vocab = c.size("vocab_size");
  m.hidden = c.size("hidden_size");
  m.inner = c.size("intermediate_size");
  m.layers = c.layers();
  m.heads = c.size("num_attention_heads");
  m.kv_heads = c.size("num_key_value_heads", m.heads);
  if (default_head_dim == 0 && !c.has("head_dim") && m.hidden % m.heads != 0)
    c.invalid("hidden_size " + std::to_string(m.hidden) +
              " is no multiple of num_attention_heads " + std::to_string(m.heads) +
              ", and there is no head_dim");
  m.head_dim = c.size("head_dim", default_head_dim != 0 ? default_head_dim
                                                        : std::max<int64_t>(m.hidden / m.heads, 1));
  if (m.heads % m.kv_heads != 0)
    c.invalid("num_attention_heads " + std::to_string(m.heads) +
              " is no multiple of num_key_value_heads " + std::to_string(m.kv_heads));
  m.epsilon = c.number("rms_norm_eps", 1e-6);
  m.activation = read_activation(c, "silu");
  if (c.status()) m.frequencies = rope_frequencies(c, m.head_dim);
  // Embedding models made of a decoder sometimes see both ways; their own code says so with these.
  if (!c.flag("is_causal", true) || c.flag("use_bidirectional_attention", false))
    c.unsupported("attention that is not causal");
  if (c.has("quantization_config")) c.unsupported("\"quantization_config\": compressed weights");
  return m;
}

// A window as long as the longest text changes nothing and would cost a second mask.
void set_window(Config& c, Decoder& m, int64_t window) {
  if (window < c.size("max_position_embeddings", window + 1)) m.window = window;
}

// Qwen: by layer_types, in older configs from layer max_window_layers on.
void read_qwen_window(Config& c, Decoder& m) {
  if (!c.flag("use_sliding_window", false) || c.is_null("sliding_window")) return;
  set_window(c, m, c.size("sliding_window", 4096));
  const auto types = c.json().find("layer_types");
  const bool listed = types != c.json().end() && types->is_array();
  if (listed && types->size() != static_cast<size_t>(m.layers)) {
    c.invalid("\"layer_types\" has " + std::to_string(types->size()) + " entries for " +
              std::to_string(m.layers) + " layers");
    return;
  }
  const int64_t first = json_int(c.json(), "max_window_layers", 28);
  for (int64_t i = 0; i < m.layers; ++i) {
    const bool slides =
        listed ? (*types)[static_cast<size_t>(i)] == "sliding_attention" : i >= first;
    m.windowed.push_back(m.window != 0 && slides);
  }
}

class DecoderWriter {
 public:
  DecoderWriter(const Decoder& model, Checkpoint& weights) : m(model), w(weights), b("decoder") {}

  Result<Model> write() && {
    w.choose_prefix({"", "model."}, "embed_tokens.weight");
    OCTAVO_CHECK(w.status());
    const Value ids = b.input("input_ids", DType::i64, {"batch", "sequence"});
    const Value real = b.input("attention_mask", DType::i64, {"batch", "sequence"});
    const Value places = positions(ids);
    write_rotation(places);
    write_masks(real, places);
    Value x;
    {
      const auto scope = b.scope("embed_tokens");
      x = b.op("Gather", {w.weight(b, "embed_tokens.weight", {m.vocab, m.hidden}), ids});
    }
    for (int64_t i = 0; i < m.layers && w.status(); ++i) {
      const std::string name = "layers." + std::to_string(i);
      const auto scope = b.scope(name);
      const bool slides =
          static_cast<size_t>(i) < m.windowed.size() && m.windowed[static_cast<size_t>(i)];
      x = layer(x, name + ".", slides ? window_mask_ : mask_);
    }
    x = norm(x, "norm", "norm", m.hidden);
    OCTAVO_CHECK(w.status());
    b.output(x, "last_hidden_state", DType::f32, {"batch", "sequence", m.hidden});
    return std::move(b).finish(functions::kOpset);
  }

 private:
  // cos and sin of every position, [S, 1, head_dim], once for all layers. The frequencies are
  // stored twice over, which saves repeating the angles.
  void write_rotation(const Value& places) {
    const auto scope = b.scope("rotary_emb");
    std::vector<float> twice = m.frequencies;
    twice.insert(twice.end(), m.frequencies.begin(), m.frequencies.end());
    const Value frequencies =
        b.initializer({"rotary_emb.frequencies", Tensor::of<float>({m.head_dim}, twice)});
    const Value rows = b.op("Unsqueeze", {places, b.ints({1, 2})});
    const Value angles =
        b.op("Cast", {rows}, {{"to", static_cast<int64_t>(DType::f32)}}) * frequencies;
    cos_ = b.op("Cos", {angles});
    sin_ = b.op("Sin", {angles});
  }

  // [B, 1, S, S]: a query sees keys at or before it that are no padding (and no further back than
  // the window). The conditions meet as booleans: two large negative numbers might add to -inf.
  void write_masks(const Value& real, const Value& places) {
    const auto scope = b.scope("mask");
    const Value queries = b.op("Unsqueeze", {places, b.ints({1})});
    const Value causal = b.op("And", {b.op("LessOrEqual", {places, queries}), real_tokens(real)});
    const bool all_slide = !m.windowed.empty() && std::find(m.windowed.begin(), m.windowed.end(),
                                                            false) == m.windowed.end();
    const bool any_slides =
        std::find(m.windowed.begin(), m.windowed.end(), true) != m.windowed.end();
    if (!all_slide) mask_ = additive(causal);
    if (any_slides) {
      const Value first = queries - b.scalar(m.window);
      window_mask_ = additive(b.op("And", {causal, b.op("Greater", {places, first})}));
    }
  }

  Value norm(const Value& x, const std::string& key, const std::string& name, int64_t size) {
    const auto scope = b.scope(name);
    return functions::rms_norm(x, w.weight(b, key + ".weight", {size}), m.epsilon);
  }

  Value attention(const Value& x, const std::string& key, const Value& mask) {
    const auto scope = b.scope("self_attn");
    const auto heads = [&](const std::string& name, int64_t count) {
      const Linear shape{m.hidden, count * m.head_dim, m.qkv_bias};
      return split_heads(linear(w, x, key + name, name, shape), count, m.head_dim);
    };
    Value q = heads("q_proj", m.heads);
    Value k = heads("k_proj", m.kv_heads);
    const Value v = heads("v_proj", m.kv_heads);
    if (m.head_norm) {
      q = norm(q, key + "q_norm", "q_norm", m.head_dim);
      k = norm(k, key + "k_norm", "k_norm", m.head_dim);
    }
    q = functions::rotary_embedding(q, cos_, sin_);
    k = functions::rotary_embedding(k, cos_, sin_);
    const float scale = 1.0F / std::sqrt(static_cast<float>(m.head_dim));
    const Value mixed = m.heads == m.kv_heads
                            ? functions::attention(q, k, v, mask, scale)
                            : functions::grouped_query_attention(q, k, v, mask, scale,
                                                                 {m.heads, m.kv_heads, m.head_dim});
    return linear(w, mixed, key + "o_proj", "o_proj", {m.heads * m.head_dim, m.hidden, m.o_bias});
  }

  Value mlp(const Value& x, const std::string& key) {
    const auto scope = b.scope("mlp");
    const Linear widen{m.hidden, m.inner, m.mlp_bias};
    const Value gate = linear(w, x, key + "gate_proj", "gate_proj", widen);
    const Value up = linear(w, x, key + "up_proj", "up_proj", widen);
    const Value product = m.activation == Activation::silu ? functions::swiglu(gate, up)
                                                           : activate(m.activation, gate) * up;
    return linear(w, product, key + "down_proj", "down_proj", {m.inner, m.hidden, m.mlp_bias});
  }

  Value layer(const Value& x, const std::string& key, const Value& mask) {
    const Value before = norm(x, key + "input_layernorm", "input_layernorm", m.hidden);
    const Value attended = x + attention(before, key + "self_attn.", mask);
    const Value between =
        norm(attended, key + "post_attention_layernorm", "post_attention_layernorm", m.hidden);
    return attended + mlp(between, key + "mlp.");
  }

  const Decoder& m;
  Checkpoint& w;
  GraphBuilder b;
  Value cos_, sin_, mask_, window_mask_;
};

}  // namespace

Result<Model> write_llama(const nlohmann::json& json, Checkpoint& weights) {
  Config c(json);
  Decoder m = read_common(c, 0);
  m.qkv_bias = m.o_bias = c.flag("attention_bias", false);
  m.mlp_bias = c.flag("mlp_bias", false);
  OCTAVO_CHECK(c.status());
  return DecoderWriter(m, weights).write();
}

Result<Model> write_mistral(const nlohmann::json& json, Checkpoint& weights) {
  Config c(json);
  Decoder m = read_common(c, 0);
  if (!c.is_null("sliding_window")) set_window(c, m, c.size("sliding_window", 4096));
  OCTAVO_CHECK(c.status());
  if (m.window != 0) m.windowed.assign(static_cast<size_t>(m.layers), true);
  return DecoderWriter(m, weights).write();
}

Result<Model> write_qwen2(const nlohmann::json& json, Checkpoint& weights) {
  Config c(json);
  Decoder m = read_common(c, 0);
  m.qkv_bias = true;
  read_qwen_window(c, m);
  OCTAVO_CHECK(c.status());
  return DecoderWriter(m, weights).write();
}

Result<Model> write_qwen3(const nlohmann::json& json, Checkpoint& weights) {
  Config c(json);
  Decoder m = read_common(c, 128);
  m.qkv_bias = m.o_bias = c.flag("attention_bias", false);
  m.head_norm = true;
  read_qwen_window(c, m);
  OCTAVO_CHECK(c.status());
  return DecoderWriter(m, weights).write();
}

}  // namespace octavo::architectures
