#pragma once
// What a model folder says about how to use it: pooling, normalisation, prompts, maximum length,
// and which ONNX file to run. Read from 1_Pooling/config.json, modules.json, config.json,
// sentence_bert_config.json, tokenizer_config.json, config_sentence_transformers.json; what had to
// be guessed is said in `warnings`.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

enum class Pooling : uint8_t { mean, cls, last_token };
std::string_view pooling_name(Pooling pooling);

struct ModelDir {
  std::filesystem::path folder;
  std::filesystem::path model_file;      // the ONNX file to run; empty when the folder has none
  std::filesystem::path tokenizer_file;  // tokenizer.json, there or not
  Pooling pooling = Pooling::mean;
  bool normalize = true;
  // Whether the tokens of a prompt take part in mean pooling; false in instructor-style models.
  bool include_prompt = true;
  size_t max_length = 512;                     // tokens, special ones included
  size_t positions = 0;                        // most tokens the model can take; 0: not known
  std::map<std::string, std::string> prompts;  // name -> prefix
  std::string default_prompt_name;             // "" when there is none
  std::string similarity;                      // similarity_fn_name; "" when it is not said
  std::vector<std::string> warnings;           // what was guessed and why
};

// model_file: a path, or a name inside the folder; empty picks model.int8.onnx, model.onnx,
// onnx/model.onnx, in this order; that the folder has none of them is no error here. Errors:
// not_found (the folder, or the named model file), invalid_input (naming the file and key),
// unsupported (a pooling or module we do not have, by name).
Result<ModelDir> read_model_dir(const std::filesystem::path& folder,
                                const std::string& model_file = "");

// What INT8 is held against: a file itself, of a folder its model.onnx or onnx/model.onnx. Errors:
// not_found.
Result<std::filesystem::path> reference_model(const std::filesystem::path& path);

}  // namespace octavo
