#pragma once
// Named weights of a checkpoint, whatever the file: safetensors (one file or a sharded index) or
// GGUF. Opening reads the directory only; load() converts one tensor at a time.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo {

struct WeightEntry {
  std::string name;
  Shape shape;
  std::string stored_as;  // "F32", "BF16", "Q4_1", ... as the file names it
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual const std::vector<WeightEntry>& entries() const = 0;
  // Null when there is no such tensor.
  virtual const WeightEntry* find(std::string_view name) const = 0;
  // The tensor as float32: borrowed from the mapped file when it is stored so, else converted
  // (dequantized) into memory. Errors: not_found, unsupported (naming the type), invalid_input (a
  // value that is not finite: no weight of a usable model is).
  virtual Result<Tensor> load(std::string_view name) const = 0;
  // The tensor in the element type of the file. Errors: not_found, unsupported (a block-quantized
  // or exotic type).
  virtual Result<Tensor> load_as_stored(std::string_view name) const = 0;
};

// Opens model.safetensors, or model.safetensors.index.json with its shards. Spec: the safetensors
// README; stricter than it where it says nothing: a duplicate name is an error.
Result<std::shared_ptr<const WeightSource>> open_safetensors(const std::filesystem::path& file);

// The string map __metadata__ of one safetensors file, {} when it has none.
Result<std::map<std::string, std::string>> safetensors_metadata(const std::filesystem::path& file);

}  // namespace octavo
