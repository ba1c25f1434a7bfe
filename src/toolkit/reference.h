#pragma once
// What a model is compared with: texts, their token ids, and the embedding that the original gives
// each. From a file of tools/dump_reference.py (the original implementation), or from running a
// reference ONNX model here.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "embed/model_dir.h"
#include "text/tokenizer.h"

namespace octavo {

struct Reference {
  std::string name;  // for reports: the file, and what made it
  std::vector<std::string> texts;
  std::vector<std::vector<int64_t>> ids;
  size_t width = 0;
  std::vector<float> rows;    // [texts][width]; of any length, only their direction counts
  std::vector<double> norms;  // of each text's vector before it was normalised
};

// Errors: not_found, invalid_input (the file breaks its format, or was made with another pooling).
Result<Reference> read_reference(const std::filesystem::path& file, Pooling pooling);

// Errors naming the first text, position and token where the two differ.
Status check_same_ids(std::span<const std::vector<int64_t>> ids, const Reference& reference,
                      const Tokenizer& tokenizer);

// "mean", "cls", "last_token": as reference files and reports spell it.
std::string pooling_key(Pooling pooling);

}  // namespace octavo
