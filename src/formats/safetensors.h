#pragma once
// One safetensors file whose bytes are already at hand (weights.h opens files).

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "formats/file_bytes.h"
#include "formats/weights.h"

namespace octavo {

// `name` is what messages call it.
Result<std::shared_ptr<const WeightSource>> parse_safetensors(FileBytes file,
                                                              const std::string& name);

// With the string map __metadata__, {} when there is none, out of the same header.
struct SafetensorsFile {
  std::shared_ptr<const WeightSource> weights;
  std::map<std::string, std::string> metadata;
};
Result<SafetensorsFile> parse_safetensors_file(FileBytes file, const std::string& name);

}  // namespace octavo
