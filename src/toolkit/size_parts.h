#pragma once
// Where the bytes of a model are: in a small model half of them may be the embedding table, which
// no product reads.

#include <cstdint>
#include <filesystem>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

struct SizeParts {
  uint64_t tables = 0;   // what rows are gathered from: word, position and type embeddings
  uint64_t linears = 0;  // weights of linear layers; one that is also gathered from counts as table
  uint64_t rest = 0;     // scales, biases, norms, the graph, and what aligns them
};

// Of the file and its sidecars together. Errors: as open_onnx().
Result<SizeParts> size_parts(const std::filesystem::path& file);

// The same, of a model whose files have so many bytes. Errors: those of inlining functions.
Result<SizeParts> size_parts(const Model& model, uint64_t bytes);

}  // namespace octavo
