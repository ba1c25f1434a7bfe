#pragma once
// What the patterns of raising ask about a graph: who makes a value, what it depends on, which
// constants and shapes are known. Read only; the graph and the probe must outlive it.

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "passes/raise.h"

namespace octavo::raise {

// What a value can change with, as bits. Shapes of inputs are kLength; a value without bits is a
// constant.
enum Dependency : uint8_t {
  kLength = 1,
  kMask = 2,
  kPlaces = 4,  // position_ids
  kTypes = 8,
  kIds = 16,
  kPast = 32,
  kOther = 64,       // an input we do not know, a subgraph
  kDataShape = 128,  // its shape depends on values (NonZero)
};

// For each value of a checked graph.
using Dependencies = std::unordered_map<std::string, uint8_t>;
Result<Dependencies> dependencies(const Graph& graph);

// A constant matrix, seen through Transpose, Cast, DequantizeLinear and Gather.
struct Matrix {
  Initializer constant;
  bool transposed = false;  // stored the other way round
  int64_t rows() const { return constant.shape()[transposed ? 1 : 0]; }
  int64_t columns() const { return constant.shape()[transposed ? 0 : 1]; }
};

// 8-bit numbers: (values - zero_point) * scale, one scale for all or one along an axis.
struct Quantized {
  Initializer values, scale;
  std::optional<Initializer> zero_point;
  size_t axis = 0;
};
// Their floats, made when the bytes are asked for. Precondition: scale and zero point have one
// element, or as many as the axis.
Initializer dequantized(const std::string& name, Quantized quantized);

class View {
 public:
  static Result<View> make(const Model& model, const Probe& probe, const std::string& output);

  const Graph& graph() const { return *graph_; }
  int64_t opset() const { return opset_; }
  int64_t tokens() const { return tokens_; }
  int64_t length() const { return length_; }

  const Node* producer(const std::string& value) const;  // null: an input or an initializer
  // The producer when it is this op of the standard domain with at least so many inputs.
  const Node* standard(const std::string& value, std::string_view op, size_t inputs = 1) const;
  const Node* contrib(const std::string& value, std::string_view op, size_t inputs = 1) const;
  bool is_graph_input(const std::string& value) const { return index_.is_graph_input(value); }

  uint8_t depends(const std::string& value) const;
  // Changes with the ids (or with what we cannot see through).
  bool varies(const std::string& value) const { return (depends(value) & (kIds | kOther)) != 0; }
  // The same for all texts of one length.
  bool by_length(const std::string& value) const {
    return (depends(value) & (kIds | kOther | kTypes | kDataShape)) == 0;
  }

  const Shape* shape(const std::string& value) const;  // null: the probe has not seen it
  // [..., width] with one row a token.
  bool is_rows(const std::string& value) const;
  int64_t width(const std::string& value) const;  // of the last axis; 0 when unknown

  // An initializer or the value of a Constant node, through Identity and Cast between floats.
  std::optional<Initializer> constant(const std::string& value) const;
  // A constant of `count` elements, all along one axis; count 0: of any size above 1.
  std::optional<Initializer> vector(const std::string& value, int64_t count) const;
  std::optional<Matrix> matrix(const std::string& value) const;
  // The floats of a DequantizeLinear whose inputs are constants.
  std::optional<Initializer> dequantized(const std::string& value) const;
  // The floats that a Gather takes from a list of them, where both are constants.
  std::optional<Initializer> looked_up(const std::string& value) const;
  // A number: a constant of one element, or one that the probe saw and that depends on nothing but
  // lengths.
  std::optional<double> number(const std::string& value) const;
  // A list of integers, known before the graph runs.
  std::optional<std::vector<int64_t>> integers(const std::string& value) const;
  // The axes of a node that has them as its second input or, in older opsets, as an attribute; none
  // given: an empty list.
  std::optional<std::vector<int64_t>> axes(const Node& node) const;
  // The tensor a value had in the probe run, or its constant bytes; undefined when unknown.
  Tensor probed(const std::string& value) const;

  // Up through what changes no number: Identity, Cast between floats, Dropout.
  std::string skip(const std::string& value) const;
  // The same, and through Reshape, Squeeze, Unsqueeze and Flatten between layouts with one row a
  // token.
  std::string rows(const std::string& value) const;

 private:
  View(const Model& model, const Probe& probe)
      : graph_(&model.graph), probe_(&probe), opset_(model.opset()), index_(model.graph) {}
  bool is_float_cast(const Node& node) const;
  void find_twins();

  const Graph* graph_;
  const Probe* probe_;
  int64_t opset_;
  GraphIndex index_;
  Dependencies dependencies_;
  // ONNX Runtime gives each reader a DequantizeLinear of its own: output -> that of the first.
  std::unordered_map<std::string, std::string> twins_;
  int64_t tokens_ = 0;
  int64_t length_ = 0;
};

// Chains of nodes that change nothing are a few long; a longer one is not followed to its end, so
// that a file cannot make raising slow.
inline constexpr int kMaxSteps = 256;

// One number of a tensor of any numeric type, as double.
double element(const Tensor& tensor, size_t i);
bool is_float(DType dtype);

// An axis attribute or input that means the last axis of a value of this shape.
bool is_last_axis(int64_t axis, const Shape* shape);

Error unsupported(const Node& node, const std::string& why);
Error unsupported(const View& view, const std::string& value, const std::string& why);

}  // namespace octavo::raise
