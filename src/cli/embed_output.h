#pragma once
// Where embeddings go, batch by batch: JSON Lines, a table for people, .npy, .npz or .safetensors.
// Files appear whole at finish() or not at all.

#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "cli/text_input.h"
#include "octavo/embedder.h"

namespace octavo::cli {

enum class EmbedFormat { table, jsonl, npy, npz, safetensors };

class EmbedOutput {
 public:
  virtual ~EmbedOutput() = default;
  virtual Status write(std::span<const Record> records, const Embeddings& embeddings) = 0;
  virtual Status finish() = 0;
};

// path: "" or "-" is standard output (table and jsonl only). width: floats a row.
Result<std::unique_ptr<EmbedOutput>> open_embed_output(EmbedFormat format, const std::string& path,
                                                       size_t width);

}  // namespace octavo::cli
