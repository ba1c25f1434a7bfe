#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "formats/json.h"
#include "toolkit/gguf_snapshot.h"

namespace octavo {

namespace {

struct Rename {
  std::string_view gguf;
  std::string_view hf;
};

// Inside a layer: blk.<n>.<gguf>.weight is <layers>.<n>.<hf>.weight; biases alike.
constexpr std::array kDecoderLayer{
    Rename{"attn_norm", "input_layernorm"},    Rename{"attn_q", "self_attn.q_proj"},
    Rename{"attn_k", "self_attn.k_proj"},      Rename{"attn_v", "self_attn.v_proj"},
    Rename{"attn_output", "self_attn.o_proj"}, Rename{"attn_q_norm", "self_attn.q_norm"},
    Rename{"attn_k_norm", "self_attn.k_norm"}, Rename{"ffn_norm", "post_attention_layernorm"},
    Rename{"ffn_gate", "mlp.gate_proj"},       Rename{"ffn_up", "mlp.up_proj"},
    Rename{"ffn_down", "mlp.down_proj"},
};
constexpr std::array kDecoder{
    Rename{"token_embd", "model.embed_tokens"},
    Rename{"output_norm", "model.norm"},
    Rename{"output", "lm_head"},
};
constexpr std::array kBertLayer{
    Rename{"attn_q", "attention.self.query"},
    Rename{"attn_k", "attention.self.key"},
    Rename{"attn_v", "attention.self.value"},
    Rename{"attn_output", "attention.output.dense"},
    Rename{"attn_output_norm", "attention.output.LayerNorm"},
    Rename{"ffn_up", "intermediate.dense"},
    Rename{"ffn_down", "output.dense"},
    Rename{"layer_output_norm", "output.LayerNorm"},
};
constexpr std::array kBert{
    Rename{"token_embd", "embeddings.word_embeddings"},
    Rename{"token_types", "embeddings.token_type_embeddings"},
    Rename{"position_embd", "embeddings.position_embeddings"},
    Rename{"token_embd_norm", "embeddings.LayerNorm"},
};

template <size_t N>
std::string_view renamed(const std::array<Rename, N>& table, std::string_view name) {
  for (const Rename& r : table)
    if (r.gguf == name) return r.hf;
  return {};
}

// The name in the original checkpoint; a tensor that it had not keeps its own.
std::string original_name(std::string_view name, bool bert) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::string(name);
  const std::string_view suffix = name.substr(dot);  // ".weight" or ".bias"
  std::string_view stem = name.substr(0, dot);
  if (!stem.starts_with("blk.")) {
    const std::string_view hf = bert ? renamed(kBert, stem) : renamed(kDecoder, stem);
    return hf.empty() ? std::string(name) : std::string(hf) + std::string(suffix);
  }
  stem.remove_prefix(4);
  const size_t end = stem.find('.');
  if (end == std::string_view::npos) return std::string(name);
  const std::string layer(stem.substr(0, end));
  stem.remove_prefix(end + 1);
  const std::string_view hf = bert ? renamed(kBertLayer, stem) : renamed(kDecoderLayer, stem);
  if (hf.empty()) return std::string(name);
  return (bert ? "encoder.layer." : "model.layers.") + layer + "." + std::string(hf) +
         std::string(suffix);
}

// The converter interleaves the two halves of every head's rotary dimensions: row (head, d, half)
// of the file is row (head, half, d) of the checkpoint, d < head_dim / 2.
Result<Tensor> unpermute_rows(const Tensor& in, int64_t heads) {
  const int64_t rows = in.rank() == 0 ? 0 : in.dim(0);
  if (rows == 0 || rows % (2 * heads) != 0)
    return Error{Code::invalid_input, std::to_string(rows) + " rows are no pairs for " +
                                          std::to_string(heads) + " heads"};
  const auto pairs = static_cast<size_t>(rows / heads / 2);
  const size_t row_bytes = in.bytes().size() / static_cast<size_t>(rows);
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, in.shape()));
  const std::byte* from = in.bytes().data();
  for (size_t head = 0; head < static_cast<size_t>(heads); ++head) {
    std::byte* to = out.mutable_bytes().data() + head * 2 * pairs * row_bytes;
    for (size_t d = 0; d < pairs; ++d) {
      for (size_t half = 0; half < 2; ++half, from += row_bytes)
        std::memcpy(to + (half * pairs + d) * row_bytes, from, row_bytes);
    }
  }
  return out;
}

class GgufWeights final : public WeightSource {
 public:
  GgufWeights(std::shared_ptr<const Gguf> file, int64_t query_heads, int64_t key_heads, bool bert)
      : file_(std::move(file)) {
    for (const WeightEntry& entry : file_->entries()) {
      if (entry.name == "rope_freqs.weight") continue;  // it is config.json's rope_scaling
      WeightEntry renamed = entry;
      renamed.name = original_name(entry.name, bert);
      int64_t heads = 0;
      if (renamed.name.find(".self_attn.q_proj.") != std::string::npos) heads = query_heads;
      if (renamed.name.find(".self_attn.k_proj.") != std::string::npos) heads = key_heads;
      by_name_.emplace(renamed.name, Place{entries_.size(), entry.name, heads});
      entries_.push_back(std::move(renamed));
    }
  }

  const std::vector<WeightEntry>& entries() const override { return entries_; }
  const WeightEntry* find(std::string_view name) const override {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : &entries_[at->second.entry];
  }
  Result<Tensor> load(std::string_view name) const override {
    OCTAVO_TRY(const Place* place, place_of(name));
    OCTAVO_TRY(Tensor tensor, file_->load(place->stored));
    if (place->heads == 0) return tensor;
    return unpermute_rows(tensor, place->heads).within("tensor " + quote(place->stored));
  }
  Result<Tensor> load_as_stored(std::string_view name) const override {
    OCTAVO_TRY(const Place* place, place_of(name));
    if (place->heads != 0)
      return Error{Code::unsupported, quote(place->stored) + " is stored in another row order"};
    return file_->load_as_stored(place->stored);
  }

 private:
  struct Place {
    size_t entry;
    std::string stored;  // the name in the file
    int64_t heads;       // whose rows are to be put back in order; 0: none
  };
  Result<const Place*> place_of(std::string_view name) const {
    const auto at = by_name_.find(name);
    if (at == by_name_.end()) return Error{Code::not_found, "no tensor " + quote(name)};
    return &at->second;
  }
  std::shared_ptr<const Gguf> file_;
  std::vector<WeightEntry> entries_;
  std::map<std::string, Place, std::less<>> by_name_;
};

}  // namespace

Result<std::shared_ptr<const WeightSource>> gguf_weights(std::shared_ptr<const Gguf> file,
                                                         const nlohmann::json& config) {
  const std::string type = json_string(config, "model_type", "");
  const bool permuted = type == "llama";  // Qwen's rows are stored as they were
  return std::shared_ptr<const WeightSource>(std::make_shared<GgufWeights>(
      std::move(file), permuted ? json_int(config, "num_attention_heads", 0) : 0,
      permuted ? json_int(config, "num_key_value_heads", 0) : 0, type == "bert"));
}

}  // namespace octavo
