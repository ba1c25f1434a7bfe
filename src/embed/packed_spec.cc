#include "embed/packed_spec.h"

#include <string>

namespace octavo {

namespace {

using nlohmann::json;
using namespace fused;

json write(const LinearSpec& s) {
  return {{"name", s.name},
          {"kind", static_cast<size_t>(s.kind)},
          {"k", s.k},
          {"n", s.sections},
          {"gated", s.gated},
          {"bias", s.has_bias},
          {"factor", s.has_factor},
          {"scales", static_cast<size_t>(s.scales)}};
}

json write(const NormSpec& s) {
  return {{"name", s.name}, {"kind", static_cast<size_t>(s.kind)}, {"epsilon", s.epsilon}};
}

json write(const std::vector<LinearSpec>& all) {
  json out = json::array();
  for (const LinearSpec& s : all) out.push_back(write(s));
  return out;
}

json write(const LayerSpec& s) {
  return {{"attention_norm", write(s.attention_norm)},
          {"qkv", write(s.qkv)},
          {"heads", s.heads},
          {"kv_heads", s.kv_heads},
          {"head_dim", s.head_dim},
          {"scale", s.scale},
          {"causal", s.causal},
          {"window", s.window},
          {"rotary", s.rotary},
          {"q_norm", write(s.q_norm)},
          {"k_norm", write(s.k_norm)},
          {"out", write(s.out)},
          {"attention_output_norm", write(s.attention_output_norm)},
          {"mlp_norm", write(s.mlp_norm)},
          {"up", write(s.up)},
          {"gated", s.gated},
          {"inner", s.inner},
          {"activation", static_cast<size_t>(s.activation)},
          {"down", write(s.down)},
          {"mlp_output_norm", write(s.mlp_output_norm)}};
}

// Reads keys of one object; the first one that is wrong is remembered, and everything after it is
// left as it is.
class Reader {
 public:
  Reader(const json& object, Status& status) : object_(object), status_(status) {
    if (!object.is_object()) fail("an object");
  }

  void read(const char* key, size_t& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    if (!v->is_number_unsigned()) return fail(key);
    out = v->get<size_t>();
  }
  void read(const char* key, bool& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    if (!v->is_boolean()) return fail(key);
    out = v->get<bool>();
  }
  void read(const char* key, float& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    if (!v->is_number()) return fail(key);
    out = v->get<float>();
  }
  void read(const char* key, std::string& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    if (!v->is_string()) return fail(key);
    out = v->get<std::string>();
  }
  template <class E>
  void read_enum(const char* key, E& out, E last) {
    size_t number = 0;
    read(key, number);
    if (number > static_cast<size_t>(last)) return fail(key);
    out = static_cast<E>(number);
  }
  void read(const char* key, NormSpec& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    Reader r(*v, status_);
    r.read("name", out.name);
    r.read_enum("kind", out.kind, NormKind::layer);
    r.read("epsilon", out.epsilon);
  }
  void read(const char* key, LinearSpec& out) {
    const json* v = get(key);
    if (v != nullptr) read_linear(*v, out);
  }
  void read(const char* key, std::vector<LinearSpec>& out) {
    const json* v = get(key);
    if (v == nullptr) return;
    if (!v->is_array()) return fail(key);
    for (const json& item : *v) read_linear(item, out.emplace_back());
  }
  const json* array(const char* key) {
    const json* v = get(key);
    if (v == nullptr) return nullptr;
    if (!v->is_array()) fail(key);
    return v->is_array() ? v : nullptr;
  }

 private:
  void read_linear(const json& from, LinearSpec& out) {
    Reader r(from, status_);
    r.read("name", out.name);
    r.read_enum("kind", out.kind, WeightKind::bf16);
    r.read("k", out.k);
    if (const json* n = r.array("n")) {
      for (const json& section : *n) {
        if (!section.is_number_unsigned()) return fail("n");
        out.sections.push_back(section.get<size_t>());
        if (out.sections.back() > (size_t{1} << 24)) return fail("n");
      }
      if (out.sections.empty() || out.sections.size() > 3) return fail("n");
    }
    r.read("gated", out.gated);
    r.read("bias", out.has_bias);
    r.read("factor", out.has_factor);
    r.read_enum("scales", out.scales, RowScales::row16);
  }
  const json* get(const char* key) {
    if (!status_) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      fail(key);
      return nullptr;
    }
    return &*found;
  }
  void fail(const char* key) {
    if (status_)
      status_ = Error{Code::invalid_input, std::string("the packed model's description: \"") + key +
                                               "\" is missing or "
                                               "of another type"};
  }

  const json& object_;
  Status& status_;
};

void read_layer(const json& from, LayerSpec& s, Status& status) {
  Reader r(from, status);
  r.read("attention_norm", s.attention_norm);
  r.read("qkv", s.qkv);
  r.read("heads", s.heads);
  r.read("kv_heads", s.kv_heads);
  r.read("head_dim", s.head_dim);
  r.read("scale", s.scale);
  r.read("causal", s.causal);
  r.read("window", s.window);
  r.read("rotary", s.rotary);
  r.read("q_norm", s.q_norm);
  r.read("k_norm", s.k_norm);
  r.read("out", s.out);
  r.read("attention_output_norm", s.attention_output_norm);
  r.read("mlp_norm", s.mlp_norm);
  r.read("up", s.up);
  r.read("gated", s.gated);
  r.read("inner", s.inner);
  r.read_enum("activation", s.activation, Activation::relu);
  r.read("down", s.down);
  r.read("mlp_output_norm", s.mlp_output_norm);
}

}  // namespace

nlohmann::json spec_to_json(const EncoderSpec& s) {
  json layers = json::array();
  for (const LayerSpec& l : s.layers) layers.push_back(write(l));
  return {{"vocabulary", s.vocabulary},
          {"hidden", s.hidden},
          {"positions", s.positions},
          {"table_scales", s.table_scales},
          {"token_type_row", s.token_type_row},
          {"position_table", s.position_table},
          {"embedding_norm", write(s.embedding_norm)},
          {"layers", std::move(layers)},
          {"final_linear", write(s.final_linear)},
          {"final_norm", write(s.final_norm)}};
}

Result<EncoderSpec> spec_from_json(const json& from) {
  EncoderSpec s;
  Status status = Done{};
  Reader r(from, status);
  r.read("vocabulary", s.vocabulary);
  r.read("hidden", s.hidden);
  r.read("positions", s.positions);
  r.read("table_scales", s.table_scales);
  r.read("token_type_row", s.token_type_row);
  r.read("position_table", s.position_table);
  r.read("embedding_norm", s.embedding_norm);
  if (const json* layers = r.array("layers"))
    for (const json& l : *layers) read_layer(l, s.layers.emplace_back(), status);
  r.read("final_linear", s.final_linear);
  r.read("final_norm", s.final_norm);
  OCTAVO_CHECK(std::move(status));
  return s;
}

}  // namespace octavo
