#pragma once
// A Hugging Face snapshot or a GGUF file -> FP32 ONNX plus the files a runtime needs beside it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

struct ImportOptions {
  bool functions = false;  // write ai.octavo model-local functions instead of flat standard ops
  std::string model_name = "model.onnx";  // its sidecar is <model_name>.data
};

struct ImportReport {
  std::string architecture;  // as config.json names it, "BertModel"
  int64_t parameters = 0;
  std::vector<std::string> files;  // written, relative to the output folder
  std::vector<std::string>
      unused_weights;  // in the checkpoint but not in the graph (lm_head, pooler)
};

// source: a snapshot folder or a *.gguf file. output is created if need be. Errors: unsupported
// naming the architecture and the known ones; not_found naming the missing tensor; invalid_input
// when another ONNX model in `output` reads what this would change; see octavo/result.h.
Result<ImportReport> import_model(const std::filesystem::path& source,
                                  const std::filesystem::path& output,
                                  const ImportOptions& options = {}, const Progress& progress = {});

}  // namespace octavo
