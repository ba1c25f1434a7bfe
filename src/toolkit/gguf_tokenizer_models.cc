// The three tokenizer models of GGUF files as tokenizer.json spells them.

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "formats/json.h"
#include "toolkit/gguf_pre_tokenizer.h"
#include "toolkit/gguf_tokenizer.h"

namespace octavo {

namespace {

using nlohmann::json;

constexpr std::string_view kBlank = "\xe2\x96\x81";  // U+2581, SentencePiece's blank

// token -> id, without the tokens that only fill the embedding table up.
json vocabulary_of(const GgufVocabulary& v) {
  json out = json::object();
  for (size_t i = 0; i < v.tokens.size(); ++i)
    if (v.type(i) != TokenType::unused) out[std::string(v.tokens[i])] = i;
  return out;
}

// A file without a name for its pre-tokenizer is older than the names: 2023 and early 2024.
std::string guessed_pre_tokenizer(const Gguf& file, const GgufVocabulary& v) {
  const auto architecture = file.text("general.architecture").value_or("");
  if (architecture == "qwen2" || architecture == "qwen3") return "qwen2";
  const bool llama3 =
      std::find(v.tokens.begin(), v.tokens.end(), "<|begin_of_text|>") != v.tokens.end();
  return llama3 ? "llama-bpe" : "gpt-2";
}

json merge_list(const std::vector<std::pair<std::string_view, std::string_view>>& merges) {
  json out = json::array();
  for (const auto& [left, right] : merges) {
    std::string text(left);
    text += ' ';
    text += right;
    out.push_back(std::move(text));
  }
  return out;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

Result<TokenizerParts> byte_level_bpe_parts(const Gguf& file, const GgufVocabulary& v) {
  std::string name(file.text("tokenizer.ggml.pre").value_or("default"));
  if (name == "default") name = guessed_pre_tokenizer(file, v);
  const PreTokenizer* pre = find_pre_tokenizer(name);
  if (pre == nullptr)
    return Error{Code::unsupported,
                 "the pre-tokenizer " + quote(name) + " (tokenizer.ggml.pre); these are known: " +
                     known_pre_tokenizers() + ". Give the Hugging Face snapshot instead"};
  const GgufArray* merges = file.array("tokenizer.ggml.merges");
  if (merges == nullptr || merges->element != GgufType::string)
    return Error{Code::invalid_input, "has no tokenizer.ggml.merges"};
  const std::unordered_set<std::string_view> known(v.tokens.begin(), v.tokens.end());
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  pairs.reserve(merges->texts.size());
  for (const std::string_view merge : merges->texts) {
    const size_t space = merge.find(' ', 1);
    const auto left = merge.substr(0, space);
    const auto right = space == std::string_view::npos ? "" : merge.substr(space + 1);
    if (right.empty() || right.find(' ') != std::string_view::npos || !known.contains(left) ||
        !known.contains(right))
      return Error{Code::invalid_input, "tokenizer.ggml.merges: " + quote(merge) +
                                            " are not two tokens of the vocabulary"};
    pairs.emplace_back(left, right);
  }
  TokenizerParts parts;
  // No unk_token: a byte that is not in the vocabulary is left out, as the original tokenizers do,
  // whatever token the file calls unknown.
  parts.model = {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"ignore_merges", pre->ignore_merges},
                 {"vocab", vocabulary_of(v)},
                 {"merges", merge_list(pairs)}};
  parts.normalizer = pre->normalizer;
  parts.pre_tokenizer = pre->pre_tokenizer;
  parts.decoder = {{"type", "ByteLevel"},
                   {"add_prefix_space", true},
                   {"trim_offsets", true},
                   {"use_regex", true}};
  parts.adds_bos = pre->adds_bos;
  return parts;
}

Result<TokenizerParts> sentencepiece_parts(const Gguf& file, const GgufVocabulary& v) {
  constexpr size_t kLongest = 256;  // bytes; SentencePiece's own default is 16 characters
  const GgufArray* scores = file.array("tokenizer.ggml.scores");
  if (scores == nullptr || scores->count != v.tokens.size())
    return Error{Code::invalid_input, "tokenizer.ggml.scores is not as long as the tokens"};
  std::unordered_map<std::string_view, size_t> ids;
  ids.reserve(v.tokens.size());
  for (size_t i = 0; i < v.tokens.size(); ++i)
    if (v.type(i) != TokenType::unused) ids[v.tokens[i]] = i;

  // SentencePiece merges the neighbours whose union has the best score. A list of merges in that
  // order does the same: every way to cut a piece in two pieces, best score first, then those with
  // the longer parts.
  struct Merge {
    std::string_view left;
    std::string_view right;
    double score;
    size_t left_size;
    size_t right_size;
  };
  std::vector<Merge> merges;
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const std::string_view piece = v.tokens[i];
    if (v.type(i) == TokenType::unused || ids.at(piece) != i) continue;
    if (piece.size() > kLongest) {
      if (v.type(i) != TokenType::normal) continue;
      return Error{Code::invalid_input, "token " + std::to_string(i) + " is longer than " +
                                            std::to_string(kLongest) + " bytes"};
    }
    const double score = scores->number(i).value_or(0);
    const size_t first = merges.size();
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<unsigned char>(piece[cut]) & 0xc0) == 0x80) continue;
      const auto left = piece.substr(0, cut);
      const auto right = piece.substr(cut);
      if (ids.contains(left) && ids.contains(right) && piece.find(' ') == std::string_view::npos)
        merges.push_back({left, right, score, characters(left), characters(right)});
    }
    std::sort(merges.begin() + static_cast<ptrdiff_t>(first), merges.end(),
              [&](const Merge& a, const Merge& b) {
                return std::pair(ids.at(a.left), ids.at(a.right)) <
                       std::pair(ids.at(b.left), ids.at(b.right));
              });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(b.score, b.left_size, b.right_size) <
           std::tuple(a.score, a.left_size, a.right_size);
  });
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  pairs.reserve(merges.size());
  for (const Merge& m : merges) pairs.emplace_back(m.left, m.right);

  TokenizerParts parts;
  parts.model = {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", v.unknown ? json(v.token(*v.unknown)) : json(nullptr)},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", true},
                 {"byte_fallback", true},
                 {"ignore_merges", false},
                 {"vocab", vocabulary_of(v)},
                 {"merges", merge_list(pairs)}};
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kBlank}};
  json steps = json::array();
  const bool prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kBlank}});
  steps.push_back(replace);
  parts.normalizer = {{"type", "Sequence"}, {"normalizers", steps}};
  parts.pre_tokenizer = nullptr;
  json decoders = {
      {{"type", "Replace"}, {"pattern", {{"String", kBlank}}}, {"content", " "}},
      {{"type", "ByteFallback"}},
      {{"type", "Fuse"}},
  };
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  parts.decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  parts.adds_bos = true;
  return parts;
}

Result<TokenizerParts> wordpiece_parts(const GgufVocabulary& v) {
  if (!v.unknown || !v.cls || !v.separator)
    return Error{Code::invalid_input, "a BERT tokenizer without its [UNK], [CLS] and [SEP]"};
  // The converter wrote "##ing" as "ing" and "word" with SentencePiece's blank before it; bracketed
  // names like [CLS] stayed.
  json vocabulary = json::object();
  bool cased = false;
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const std::string_view token = v.tokens[i];
    const bool bracketed = token.size() > 2 && token.front() == '[' && token.back() == ']';
    if (v.added(i) || bracketed) {
      vocabulary[std::string(token)] = i;
    } else if (token.starts_with(kBlank) && token != kBlank) {
      vocabulary[std::string(token.substr(kBlank.size()))] = i;
    } else {
      vocabulary["##" + std::string(token)] = i;
    }
    // GGUF does not say whether the model tells cases apart; one that does has capitals.
    if (!bracketed && !v.added(i))
      cased = cased ||
              std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  }
  TokenizerParts parts;
  parts.model = {{"type", "WordPiece"},
                 {"unk_token", v.token(*v.unknown)},
                 {"continuing_subword_prefix", "##"},
                 {"max_input_chars_per_word", 100},
                 {"vocab", std::move(vocabulary)}};
  parts.normalizer = {{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", true},
                      {"strip_accents", nullptr},
                      {"lowercase", !cased}};
  parts.pre_tokenizer = {{"type", "BertPreTokenizer"}};
  parts.decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  parts.adds_bos = true;
  parts.adds_eos = true;
  return parts;
}

}  // namespace octavo
