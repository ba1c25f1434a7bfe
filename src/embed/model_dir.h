#pragma once
// What a model folder says about how to use it: pooling, normalisation, prompts, maximum length,
// and which ONNX file to run. Read from 1_Pooling/config.json, modules.json, config.json,
// sentence_bert_config.json, tokenizer_config.json, config_sentence_transformers.json; what had to
// be guessed is said in `warnings`.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace octavo {

enum class Pooling : uint8_t { mean, cls, last_token };

struct ModelDir {
  std::filesystem::path folder;
  std::filesystem::path model_file;  // the ONNX file to run; empty when the folder has none
  Pooling pooling = Pooling::mean;
  bool normalize = true;
  size_t max_length = 512;                     // tokens, special ones included
  std::map<std::string, std::string> prompts;  // name -> prefix
  std::string default_prompt_name;             // "" when there is none
  std::vector<std::string> warnings;           // what was guessed and why
};

// model_file: a path, or a name inside the folder; empty picks model.int8.onnx, model.onnx,
// onnx/model.onnx, in this order. A missing model file is no error here. Errors: not_found,
// invalid_input.
Result<ModelDir> read_model_dir(const std::filesystem::path& folder,
                                const std::string& model_file = "");

}  // namespace octavo
