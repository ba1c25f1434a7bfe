#pragma once
// What an encoder's graph takes and gives, and whether its rows stay apart: everything that can be
// read off an ONNX graph before it runs. Graphs of others differ in which inputs they have and in
// how many outputs.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

struct Signature {
  // past: a key/value cache of an export for generating text, fed empty.
  enum class Role : uint8_t { ids, mask, types, positions, past };
  struct Input {
    std::string name;
    Role role;
    DType dtype;      // i64 or i32; of past f32 or f16
    Shape past = {};  // of past: its shape for one text, a 0 where the cached tokens are
  };
  std::vector<Input> inputs;  // exactly one is `ids`
  std::string output;
  bool pooled = false;     // the output is one vector a text already
  int64_t width = 0;       // of the output's last axis; 0: the graph does not say
  int64_t vocabulary = 0;  // rows of the table that ids look up; 0: not found
  // Texts of equal length may share a run without changing each other's bits. False when the graph
  // computes something over the whole batch, as the scale of DynamicQuantizeLinear.
  bool rows_independent = true;
  std::vector<std::string> warnings;
};

// Errors: unsupported, naming the input or outputs that do not fit.
Result<Signature> read_signature(const Model& model);
// The inputs alone: enough to run a model whose outputs are not an encoder's.
Result<std::vector<Signature::Input>> read_signature_inputs(const Graph& graph);

}  // namespace octavo
