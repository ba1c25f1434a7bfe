#pragma once
// The pieces that turn a GGUF file back into the snapshot it was converted from. The converter
// (llama.cpp's convert_hf_to_gguf) renames tensors, reorders the query and key rows of Llama,
// spells config.json as metadata keys, and stores the tokenizer as lists.

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "formats/gguf.h"
#include "toolkit/snapshot.h"

namespace octavo {

// config.json as transformers would have it. Errors: unsupported, naming the architecture or the
// feature; invalid_input, naming the metadata key.
Result<nlohmann::json> gguf_config(const Gguf& file);

// The tensors under the names, and in the row order, of the original checkpoint. `config` is what
// gguf_config() gave.
Result<std::shared_ptr<const WeightSource>> gguf_weights(std::shared_ptr<const Gguf> file,
                                                         const nlohmann::json& config);

// tokenizer.json, tokenizer_config.json and special_tokens_map.json. Errors: unsupported, naming
// the kind of tokenizer or pre-tokenizer; invalid_input.
Result<std::map<std::string, std::string>> gguf_tokenizer_files(const Gguf& file,
                                                                const nlohmann::json& config);

// All of it.
Result<Snapshot> gguf_snapshot(const std::shared_ptr<const Gguf>& file);

}  // namespace octavo
