#include "toolkit/gguf_tokenizer.h"

#include <utility>

#include "formats/json.h"
#include "toolkit/gguf_snapshot.h"

namespace octavo {

namespace {

using nlohmann::json;

constexpr size_t kMaxTokens = size_t{1} << 24;
constexpr int64_t kNone = -1;

json added_token(const GgufVocabulary& v, size_t id, bool with_id) {
  json out = {{"content", v.tokens[id]}, {"single_word", false}, {"lstrip", false},
              {"rstrip", false},         {"normalized", false},  {"special", v.special(id)}};
  if (with_id) out["id"] = id;
  return out;
}

// [BOS] text [EOS], and for a pair the same around both; what BERT's type ids count in is the
// second text.
json post_processor(const GgufVocabulary& v, int64_t bos, int64_t eos, bool bert) {
  json single = json::array();
  json pair = json::array();
  json tokens = json::object();
  const auto special = [&](json& to, int64_t id, int type) {
    const std::string name = v.token(id);
    to.push_back({{"SpecialToken", {{"id", name}, {"type_id", type}}}});
    tokens[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  const auto text = [](json& to, const char* name, int type) {
    to.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
  };
  for (json* to : {&single, &pair}) {
    if (bos != kNone) special(*to, bos, 0);
    text(*to, "A", 0);
    if (eos != kNone) special(*to, eos, 0);
  }
  if (bos != kNone && !bert) special(pair, bos, 1);
  text(pair, "B", 1);
  if (eos != kNone) special(pair, eos, 1);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

json special_tokens(const GgufVocabulary& v) {
  json out = json::object();
  const bool bert = v.model == "bert";
  const auto name = [&](const char* key, std::optional<int64_t> id) {
    if (id) out[key] = v.token(*id);
  };
  if (bert) {
    name("cls_token", v.cls);
    name("sep_token", v.separator);
    name("mask_token", v.mask);
  } else {
    name("bos_token", v.bos);
    name("eos_token", v.eos);
  }
  name("unk_token", v.unknown);
  // A batch must be padded with something: without a token for it, the end of a text is used.
  name("pad_token", v.padding ? v.padding : v.eos);
  return out;
}

}  // namespace

Result<GgufVocabulary> read_vocabulary(const Gguf& file) {
  GgufVocabulary v;
  v.model = file.text("tokenizer.ggml.model").value_or("");
  const GgufArray* tokens = file.array("tokenizer.ggml.tokens");
  if (v.model.empty() || tokens == nullptr || tokens->element != GgufType::string)
    return Error{Code::invalid_input,
                 "has no tokenizer (tokenizer.ggml.model, tokenizer.ggml.tokens)"};
  if (tokens->count == 0 || tokens->count > kMaxTokens)
    return Error{Code::invalid_input,
                 "tokenizer.ggml.tokens has " + std::to_string(tokens->count) + " tokens"};
  v.tokens = tokens->texts;
  v.types.assign(v.tokens.size(), TokenType::normal);
  if (const GgufArray* types = file.array("tokenizer.ggml.token_type")) {
    if (types->count != v.tokens.size())
      return Error{Code::invalid_input, "tokenizer.ggml.token_type is not as long as the tokens"};
    for (size_t i = 0; i < v.types.size(); ++i) {
      const int64_t type = types->integer(i).value_or(0);
      // Files of 2023 have 0 here for ordinary tokens.
      v.types[i] = type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::normal;
      // The converter's filler up to the rows of the embedding: once user-defined, now unused.
      if (v.tokens[i] == "[PAD" + std::to_string(i) + "]") v.types[i] = TokenType::unused;
    }
  }
  const auto id = [&](const char* key, std::optional<int64_t>& to) -> Status {
    const std::string name = std::string("tokenizer.ggml.") + key;
    const GgufValue* value = file.value(name);
    if (value == nullptr) return Done{};
    const auto n = value->integer();
    // llama.cpp writes 2^32 - 1 for "none".
    if (n == 0xffffffff || n == -1) return Done{};
    if (!n || *n < 0 || static_cast<uint64_t>(*n) >= v.tokens.size())
      return Error{Code::invalid_input, name + " is no token"};
    to = *n;
    return Done{};
  };
  OCTAVO_CHECK(id("bos_token_id", v.bos));
  OCTAVO_CHECK(id("eos_token_id", v.eos));
  OCTAVO_CHECK(id("unknown_token_id", v.unknown));
  OCTAVO_CHECK(id("padding_token_id", v.padding));
  OCTAVO_CHECK(id("seperator_token_id", v.separator));  // spelled so in the format
  OCTAVO_CHECK(id("cls_token_id", v.cls));
  OCTAVO_CHECK(id("mask_token_id", v.mask));
  if (v.model == "bert") {
    if (!v.cls) v.cls = v.bos;
    if (!v.separator) v.separator = v.eos;
  }
  // Whatever else the file says of them: text that spells a special token is that token.
  for (const auto& special : {v.bos, v.eos, v.padding, v.separator, v.cls, v.mask})
    if (special && !v.added(static_cast<size_t>(*special)))
      v.types[static_cast<size_t>(*special)] = TokenType::control;
  return v;
}

Result<std::map<std::string, std::string>> gguf_tokenizer_files(const Gguf& file,
                                                                const json& config) {
  OCTAVO_TRY(const GgufVocabulary v, read_vocabulary(file));
  const int64_t rows = json_int(config, "vocab_size", 0);
  if (static_cast<uint64_t>(rows) < v.tokens.size())
    return Error{Code::invalid_input, std::to_string(v.tokens.size()) + " tokens, but only " +
                                          std::to_string(rows) + " rows of embeddings"};
  const bool bert = v.model == "bert";
  auto made = v.model == "gpt2"    ? byte_level_bpe_parts(file, v)
              : v.model == "llama" ? sentencepiece_parts(file, v)
              : bert               ? wordpiece_parts(v)
                                   : Result<TokenizerParts>(Error{
                           Code::unsupported, "the tokenizer " + quote(v.model) +
                                                  "; these are known: bert, gpt2, llama. Give the "
                                                                "Hugging Face snapshot instead"});
  OCTAVO_TRY(const TokenizerParts parts, std::move(made));
  const bool adds_bos = file.boolean("tokenizer.ggml.add_bos_token").value_or(parts.adds_bos);
  const bool adds_eos =
      file.boolean(bert ? "tokenizer.ggml.add_sep_token" : "tokenizer.ggml.add_eos_token")
          .value_or(parts.adds_eos);
  const int64_t first = (bert ? v.cls : v.bos).value_or(kNone);
  const int64_t last = (bert ? v.separator : v.eos).value_or(kNone);
  if ((adds_bos && first == kNone) || (adds_eos && last == kNone))
    return Error{Code::invalid_input, std::string("asks for a token at the ") +
                                          (adds_bos && first == kNone ? "begin" : "end") +
                                          " of every text, but names none"};
  json around;
  if (adds_bos || adds_eos)
    around = post_processor(v, adds_bos ? first : kNone, adds_eos ? last : kNone, bert);

  json added = json::array();
  json decoder = json::object();
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    if (!v.added(i) || v.tokens[i].empty()) continue;
    added.push_back(added_token(v, i, true));
    decoder[std::to_string(i)] = added_token(v, i, false);
  }
  const json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", std::move(added)},
                          {"normalizer", parts.normalizer},
                          {"pre_tokenizer", parts.pre_tokenizer},
                          {"post_processor", std::move(around)},
                          {"decoder", parts.decoder},
                          {"model", parts.model}};
  const json special = special_tokens(v);
  json settings = special;
  settings["added_tokens_decoder"] = std::move(decoder);
  settings["tokenizer_class"] = "PreTrainedTokenizerFast";  // takes tokenizer.json as it is
  settings["clean_up_tokenization_spaces"] = false;
  settings["model_max_length"] = json_int(config, "max_position_embeddings", 512);
  settings["model_input_names"] = bert ? json{"input_ids", "token_type_ids", "attention_mask"}
                                       : json{"input_ids", "attention_mask"};
  if (const auto chat = file.text("tokenizer.chat_template")) settings["chat_template"] = *chat;

  std::map<std::string, std::string> files;
  OCTAVO_TRY(files["tokenizer.json"], json_text(tokenizer).within("tokenizer.ggml.tokens"));
  OCTAVO_TRY(files["tokenizer_config.json"], json_text(settings).within("tokenizer.chat_template"));
  OCTAVO_TRY(files["special_tokens_map.json"], json_text(special));
  return files;
}

}  // namespace octavo
