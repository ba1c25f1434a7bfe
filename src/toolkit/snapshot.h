#pragma once
// What `import` reads, whatever it comes from: a Hugging Face snapshot folder, or a GGUF file
// presented as the snapshot it was converted from (tensor names, config keys, tokenizer files).

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/weights.h"

namespace octavo {

struct Snapshot {
  nlohmann::json config;                        // config.json
  std::shared_ptr<const WeightSource> weights;  // under the snapshot's tensor names
  // Tokenizer and config files to carry along: relative path ("1_Pooling/config.json") -> content.
  std::map<std::string, std::string> files;
};

// Every name that `files` may have.
std::vector<std::string> snapshot_file_names();

// A folder with config.json and safetensors, or a *.gguf file. Errors name what is missing.
Result<Snapshot> open_snapshot(const std::filesystem::path& source);
// The two kinds, told apart by open_snapshot.
Result<Snapshot> open_snapshot_folder(const std::filesystem::path& folder);
Result<Snapshot> open_snapshot_gguf(const std::filesystem::path& file);

}  // namespace octavo
