#pragma once
// How a byte-level BPE cuts text before merging. GGUF only names the rule (tokenizer.ggml.pre); the
// regular expression behind the name is part of the model's tokenizer.json.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace octavo {

struct PreTokenizer {
  nlohmann::json normalizer;     // null: none
  nlohmann::json pre_tokenizer;  // ends in ByteLevel
  bool ignore_merges;            // a word that is in the vocabulary needs no merges
  bool adds_bos;                 // when the file does not say
};

// Null when the name is not known.
const PreTokenizer* find_pre_tokenizer(std::string_view name);
// For messages: "gpt-2, llama-bpe, ...".
std::string known_pre_tokenizers();

}  // namespace octavo
