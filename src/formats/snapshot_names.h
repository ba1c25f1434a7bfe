#pragma once
// The small files of a Hugging Face snapshot that say how to use the model: what an import carries
// along and what a download brings.

#include <array>

namespace octavo {

inline constexpr std::array kSnapshotNames{
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "merges.txt",
    "vocab.json",
    "vocab.txt",
    "modules.json",
    "1_Pooling/config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
};

}  // namespace octavo
