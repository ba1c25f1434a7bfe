#pragma once
// What the three kinds of tokenizer in GGUF files have in common: the token list with its types,
// and the ids of the special ones.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace octavo {

enum class TokenType : int64_t { normal = 1, unknown, control, user_defined, unused, byte };

struct GgufVocabulary {
  std::string model;                     // "gpt2", "llama" (SentencePiece) or "bert"
  std::vector<std::string_view> tokens;  // in the file; the position is the id
  std::vector<TokenType> types;          // as many
  std::optional<int64_t> bos, eos, unknown, padding, separator, cls, mask;  // all within tokens

  std::string token(int64_t id) const { return std::string(tokens[static_cast<size_t>(id)]); }
  TokenType type(size_t id) const { return types[id]; }
  // Found whole in the text before anything else is cut.
  bool added(size_t id) const {
    return types[id] == TokenType::control || types[id] == TokenType::user_defined ||
           types[id] == TokenType::unknown;
  }
  bool special(size_t id) const { return added(id) && types[id] != TokenType::user_defined; }
};

// Errors: invalid_input, naming the metadata key.
Result<GgufVocabulary> read_vocabulary(const Gguf& file);

// The "model", "normalizer", "pre_tokenizer", "decoder" of tokenizer.json, and whether a BOS or an
// EOS is put around a text when the file does not say.
struct TokenizerParts {
  nlohmann::json model;
  nlohmann::json normalizer;
  nlohmann::json pre_tokenizer;
  nlohmann::json decoder;
  bool adds_bos = false;
  bool adds_eos = false;
};
Result<TokenizerParts> byte_level_bpe_parts(const Gguf& file, const GgufVocabulary& vocabulary);
Result<TokenizerParts> sentencepiece_parts(const Gguf& file, const GgufVocabulary& vocabulary);
Result<TokenizerParts> wordpiece_parts(const GgufVocabulary& vocabulary);

}  // namespace octavo
