#include <string>
#include <utility>

#include "formats/json.h"
#include "toolkit/gguf_snapshot.h"
#include "toolkit/snapshot.h"

namespace octavo {

namespace {

using nlohmann::json;

// The files by which sentence-transformers knows how to pool, when the metadata says.
Status add_pooling(const Gguf& file, const json& config, std::map<std::string, std::string>& to) {
  const std::string key = json_string(config, "model_type", "") + ".pooling_type";
  const int64_t type = file.integer(key).value_or(0);  // 0 none, 1 mean, 2 first, 3 last, 4 rank
  if (type < 1 || type > 3) return Done{};
  const json pooling = {{"word_embedding_dimension", config["hidden_size"]},
                        {"pooling_mode_cls_token", type == 2},
                        {"pooling_mode_mean_tokens", type == 1},
                        {"pooling_mode_max_tokens", false},
                        {"pooling_mode_mean_sqrt_len_tokens", false},
                        {"pooling_mode_weightedmean_tokens", false},
                        {"pooling_mode_lasttoken", type == 3},
                        {"include_prompt", true}};
  json modules = json::array();
  const auto module = [&](const char* path, const std::string& kind) {
    modules.push_back({{"idx", modules.size()},
                       {"name", std::to_string(modules.size())},
                       {"path", path},
                       {"type", "sentence_transformers.models." + kind}});
  };
  module("", "Transformer");
  module("1_Pooling", "Pooling");
  module("2_Normalize", "Normalize");
  const json sentence = {{"max_seq_length", config["max_position_embeddings"]},
                         {"do_lower_case", false}};
  OCTAVO_TRY(to["1_Pooling/config.json"], json_text(pooling));
  OCTAVO_TRY(to["modules.json"], json_text(modules));
  OCTAVO_TRY(to["sentence_bert_config.json"], json_text(sentence));
  return Done{};
}

}  // namespace

Result<Snapshot> gguf_snapshot(const std::shared_ptr<const Gguf>& file) {
  Snapshot snapshot;
  OCTAVO_TRY(snapshot.config, gguf_config(*file));
  OCTAVO_TRY(snapshot.weights, gguf_weights(file, snapshot.config));
  OCTAVO_TRY(snapshot.files, gguf_tokenizer_files(*file, snapshot.config));
  OCTAVO_TRY(snapshot.files["config.json"], json_text(snapshot.config));
  OCTAVO_CHECK(add_pooling(*file, snapshot.config, snapshot.files));
  return snapshot;
}

Result<Snapshot> open_snapshot_gguf(const std::filesystem::path& path) {
  OCTAVO_TRY(const auto file, Gguf::open(path));
  return gguf_snapshot(file).within(path.string());
}

}  // namespace octavo
