#pragma once
// What is inside an ONNX file, as values: `octavo inspect` prints them. Reads the model file and
// maps its sidecars. Weights are read only to say what the engine will take: the graph runs once on
// a few tokens.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace octavo {

struct InspectReport {
  struct Value {
    std::string name;
    std::string dtype;  // "float32"; empty when the file does not say
    std::string shape;  // "[batch, sequence]", "?" for an unknown dimension; empty without a rank
  };
  struct Weights {
    uint64_t tensors = 0, elements = 0, bytes = 0;
  };
  struct Weight {
    std::string name, dtype, shape;
    uint64_t bytes = 0;
    bool in_sidecar = false;
  };
  struct Sidecar {
    std::string path;
    uint64_t size = 0, used = 0, tensors = 0;
  };
  struct Function {
    std::string name;  // "ai.octavo.RMSNorm"
    uint64_t nodes = 0, calls = 0;
  };

  // Of the engine (docs/embedding.md), in bytes.
  struct Memory {
    std::string refused;           // why the graph runs node by node instead; then the rest is 0
    uint64_t packed_weights = 0;   // shared between processes
    uint64_t embedding_table = 0;  // stays in the model file; the rows that are used
    uint64_t batch_tokens = 0, activations = 0;  // of one run
    // The longest text the model takes, when it is longer than a batch: it runs alone.
    uint64_t longest_text = 0, longest_activations = 0;
  };

  std::string file;  // the model file, also when a folder was named
  Memory memory;
  uint64_t file_bytes = 0;
  int64_t ir_version = 0;
  std::string producer;
  std::map<std::string, int64_t> opsets;  // "ai.onnx" is the standard domain
  std::vector<Value> inputs, outputs;
  uint64_t nodes = 0;                   // subgraphs included, function bodies not
  std::map<std::string, uint64_t> ops;  // "MatMul", "com.microsoft.Attention" -> nodes
  Weights weights;
  std::map<std::string, Weights> weights_by_dtype;
  std::vector<Weight> largest;  // at most `largest_weights`, by bytes, then by name
  std::vector<Sidecar> sidecars;
  std::vector<Function> functions;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// path: an ONNX file or a model folder, whose file is then the one that `embed` runs. strict:
// refuse sidecars with more than one hard link (OnnxReadOptions).
Result<InspectReport> inspect_model(const std::filesystem::path& path, size_t largest_weights = 10,
                                    size_t max_batch_tokens = 4096, bool strict = false);

}  // namespace octavo
