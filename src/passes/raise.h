#pragma once
// Raising: a flat ONNX graph of an encoder, as import, torch, optimum or ONNX Runtime write it ->
// the short list of ops of graph/raised_ops.h.
//
//   before:  some 40 nodes a layer on [batch, length, width], with masks and reshapes
//   after:   13 nodes a layer on [tokens, width]
//
// Recognition follows the data from the output up and is lenient about spelling: elementwise
// functions are recognised by their values (raise_elementwise.cc), masks by what they let through
// in a probe run (raise_mask.cc), head counts by the probe's shapes. It is therefore no proof. The
// caller must run the raised and the original graph on a probe text, longer than one token, and use
// the raised one only when both agree.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

// value name -> shape, of every value that one run of the graph made, and of its inputs.
using ProbeShapes = std::map<std::string, Shape>;

// One run of the plain executor on one text (batch 1) of a few dozen tokens, mask of ones, types of
// zeros. Names are those of the model with its functions inlined (graph/inline.h).
struct Probe {
  ProbeShapes shapes;
  // The values that probe_values() names, as far as they have kProbeElements elements at most.
  std::map<std::string, Tensor> values;
};
inline constexpr int64_t kProbeElements = 65536;
// A window or an even/odd pattern needs a few tokens to show.
inline constexpr int64_t kProbeLength = 24;

// What a probe should keep: values that do not depend on which tokens a text has (masks, rotations,
// numbers made of shapes).
std::vector<std::string> probe_values(const Graph& graph);

// A value that depends on the length of a text alone: row i belongs to position i.
struct PositionValue {
  std::string name;   // input of the raised graph, output of Raised::positions
  std::string value;  // the value of the original graph it was made of
  int64_t width = 0;
};

struct Raised {
  Model model;  // see graph/raised_ops.h; one output, named as in the original
  // The part of the original graph that makes the position values, each as float32 [length, width]
  // when it is fed one text (batch 1) of that length. Its inputs are input_ids, of any ids, and
  // those others of the original that it needs. Without outputs when there are no position values.
  Model positions;
  std::vector<PositionValue> position_values;
};

struct RaiseOptions {
  std::string output;  // the hidden state; "": last_hidden_state, or the only output
};

// The model is not changed; initializers are shared with it. Errors: unsupported, naming the node
// that is no part of an encoder we know and why; invalid_input as check().
Result<Raised> raise_encoder(const Model& model, const Probe& probe,
                             const RaiseOptions& options = {});

}  // namespace octavo
