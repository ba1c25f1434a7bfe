// BERT (arXiv 1810.04805): learned positions, post-LayerNorm, full attention.
//
//   x = LayerNorm(word[ids] + type[types] + position[0..S-1])
//   a layer: x = LayerNorm(x + Attention(x)), x = LayerNorm(x + W2 act(W1 x))

#include <cmath>

#include "graph/functions.h"
#include "toolkit/architectures/architectures.h"
#include "toolkit/architectures/config.h"
#include "toolkit/architectures/parts.h"

namespace octavo::architectures {

namespace {

struct Bert {
  int64_t vocab, hidden, inner, layers, heads, positions, types;
  float epsilon;
  Activation activation;
};

Result<Bert> read(const nlohmann::json& json) {
  Config c(json);
  Bert m{};
  m.vocab = c.size("vocab_size");
  m.hidden = c.size("hidden_size");
  m.inner = c.size("intermediate_size");
  m.layers = c.layers();
  m.heads = c.size("num_attention_heads");
  m.positions = c.size("max_position_embeddings");
  m.types = c.size("type_vocab_size", 2);
  m.epsilon = c.number("layer_norm_eps", 1e-12);
  m.activation = read_activation(c, "gelu");
  if (m.hidden % m.heads != 0)
    c.invalid("hidden_size " + std::to_string(m.hidden) +
              " is no multiple of num_attention_heads " + std::to_string(m.heads));
  const std::string kind = c.text("position_embedding_type", "absolute");
  if (kind != "absolute")
    c.unsupported("position_embedding_type \"" + kind + "\"; known is absolute");
  if (c.flag("is_decoder", false)) c.unsupported("\"is_decoder\": a causal BERT");
  if (c.has("quantization_config")) c.unsupported("\"quantization_config\": compressed weights");
  OCTAVO_CHECK(c.status());
  return m;
}

Value layer_norm(const Bert& m, Checkpoint& w, const Value& x, const std::string& key,
                 const std::string& name) {
  GraphBuilder& b = *x.builder;
  const auto scope = b.scope(name);
  return b.op("LayerNormalization",
              {x, w.weight(b, key + ".weight", {m.hidden}), w.weight(b, key + ".bias", {m.hidden})},
              {{"axis", -1}, {"epsilon", m.epsilon}});
}

Value embed(const Bert& m, Checkpoint& w, const Value& ids, const Value& types) {
  GraphBuilder& b = *ids.builder;
  const auto scope = b.scope("embeddings");
  const auto gather = [&](const std::string& name, int64_t rows, const Value& indexes) {
    const Value table = w.weight(b, "embeddings." + name + ".weight", {rows, m.hidden});
    const auto inside = b.scope(name);
    return b.op("Gather", {table, indexes});
  };
  const Value words = gather("word_embeddings", m.vocab, ids);
  const Value kinds = gather("token_type_embeddings", m.types, types);
  const Value places = gather("position_embeddings", m.positions, positions(ids));
  return layer_norm(m, w, words + kinds + places, "embeddings.LayerNorm", "LayerNorm");
}

Value layer(const Bert& m, Checkpoint& w, const Value& x, const Value& mask,
            const std::string& key) {
  GraphBuilder& b = *x.builder;
  const Linear square{m.hidden, m.hidden, true};
  const int64_t head_dim = m.hidden / m.heads;
  Value attended = x;
  {
    const auto scope = b.scope("attention");
    Value mixed = x;
    {
      const auto self = b.scope("self");
      const auto heads = [&](const std::string& name) {
        return split_heads(linear(w, x, key + "attention.self." + name, name, square), m.heads,
                           head_dim);
      };
      const Value q = heads("query");
      const Value k = heads("key");
      const Value v = heads("value");
      mixed = functions::attention(q, k, v, mask, 1.0F / std::sqrt(static_cast<float>(head_dim)));
    }
    const auto output = b.scope("output");
    const Value out = linear(w, mixed, key + "attention.output.dense", "dense", square);
    attended = layer_norm(m, w, out + x, key + "attention.output.LayerNorm", "LayerNorm");
  }
  Value inner = attended;
  {
    const auto scope = b.scope("intermediate");
    inner = activate(m.activation, linear(w, attended, key + "intermediate.dense", "dense",
                                          {m.hidden, m.inner, true}));
  }
  const auto scope = b.scope("output");
  const Value out = linear(w, inner, key + "output.dense", "dense", {m.inner, m.hidden, true});
  return layer_norm(m, w, out + attended, key + "output.LayerNorm", "LayerNorm");
}

}  // namespace

Result<Model> write_bert(const nlohmann::json& config, Checkpoint& w) {
  OCTAVO_TRY(const Bert m, read(config));
  w.choose_prefix({"", "bert."}, "embeddings.word_embeddings.weight");
  w.alternative("LayerNorm.weight", "LayerNorm.gamma");
  w.alternative("LayerNorm.bias", "LayerNorm.beta");
  OCTAVO_CHECK(w.status());

  GraphBuilder b("bert");
  const Value ids = b.input("input_ids", DType::i64, {"batch", "sequence"});
  const Value real = b.input("attention_mask", DType::i64, {"batch", "sequence"});
  const Value types = b.input("token_type_ids", DType::i64, {"batch", "sequence"});
  Value x = embed(m, w, ids, types);
  Value mask = x;
  {
    const auto scope = b.scope("mask");
    mask = additive(real_tokens(real));
  }
  for (int64_t i = 0; i < m.layers && w.status(); ++i) {
    const std::string n = std::to_string(i);
    const auto encoder = b.scope("encoder");
    const auto scope = b.scope("layer." + n);
    x = layer(m, w, x, mask, "encoder.layer." + n + ".");
  }
  OCTAVO_CHECK(w.status());
  b.output(x, "last_hidden_state", DType::f32, {"batch", "sequence", m.hidden});
  return std::move(b).finish(functions::kOpset);
}

}  // namespace octavo::architectures
