#pragma once
// The one representation between the front door and the arithmetic: an ONNX graph. Values are named
// by strings as in the file, "" is a missing optional input or output. What we do not model is kept
// as opaque protobuf bytes by formats/onnx, so that a round trip loses nothing.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo {

struct Graph;

// An attribute kind we carry but do not interpret (type protos, sparse tensors, string tensors,
// ...): the serialized AttributeProto.
struct OpaqueAttribute {
  std::string proto;
};

// Inside a function's body: the value is what the call gives its attribute `name`, or the
// function's default, or the attribute is absent. (AttributeProto.ref_attr_name.)
struct AttributeReference {
  std::string name;
  int32_t type = 0;  // AttributeProto.AttributeType, which a file must state
};

using Attribute =
    std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<Graph>, std::vector<int64_t>,
                 std::vector<float>, std::vector<std::string>, OpaqueAttribute, AttributeReference>;

struct Node {
  std::string name;
  std::string op_type;
  std::string domain;  // "" is the standard domain (formats/onnx turns "ai.onnx" into "")
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
  std::string opaque;  // serialized NodeProto of the fields not modelled here

  // The attribute when it is there and of that kind, else the fallback.
  int64_t int_or(const std::string& key, int64_t fallback) const;
  float float_or(const std::string& key, float fallback) const;
  std::string string_or(const std::string& key, std::string_view fallback) const;
  std::vector<int64_t> ints_or(const std::string& key, std::vector<int64_t> fallback) const;
  const Tensor* tensor(const std::string& key) const;  // null when absent
  bool has(const std::string& key) const { return attributes.contains(key); }
  // "MatMul node \"/layers.0/q_proj/MatMul\"", for messages.
  std::string describe() const;
};

// A dimension: a number, a symbol ("batch"), or unknown ("").
using Dim = std::variant<int64_t, std::string>;

struct ValueInfo {
  std::string name;
  DType dtype = DType::undefined;
  std::optional<std::vector<Dim>> shape;  // nullopt: not even the rank is known
  std::string opaque;  // serialized ValueInfoProto when it is more than the above
};

// A constant of the graph. The bytes may be computed when they are needed (and again when they are
// needed again), so that a rewrite of a 2 GB model holds one tensor at a time.
class Initializer {
 public:
  using Make = std::function<Result<Tensor>()>;

  Initializer() = default;
  Initializer(std::string name, Tensor tensor)
      : name_(std::move(name)),
        dtype_(tensor.dtype()),
        shape_(tensor.shape()),
        tensor_(std::move(tensor)) {}
  // `make` must return a tensor of exactly this type and shape, the same bytes every time.
  Initializer(std::string name, DType dtype, Shape shape, Make make)
      : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)), make_(std::move(make)) {}

  const std::string& name() const { return name_; }
  void rename(std::string name) { name_ = std::move(name); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  bool lazy() const { return static_cast<bool>(make_); }
  // The bytes. Errors: whatever computing them meets; internal when `make` broke its promise.
  Result<Tensor> tensor() const;

  // How a file should store it. typed_fields asks for float_data / int32_data inside the model file
  // whatever the size, which is where ORT's quantizer leaves scales and zero points. sparse: opaque
  // is a serialized SparseTensorProto, and tensor() is an error.
  enum class Storage : uint8_t { raw, typed_fields, sparse };
  Storage storage = Storage::raw;
  // Serialized TensorProto of the fields not modelled. Element types that a Tensor cannot hold
  // (strings, 8-bit floats): all of it, dtype() is string or undefined, tensor() is an error.
  std::string opaque;

 private:
  std::string name_;
  DType dtype_ = DType::undefined;
  Shape shape_;
  Tensor tensor_;
  Make make_;
};

struct Graph {
  std::string name;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> value_info;
  std::vector<Node> nodes;
  std::vector<Initializer> initializers;
  std::string opaque;

  const Initializer* find_initializer(std::string_view name) const;  // linear; see GraphIndex
};

// A model-local function (ONNX IR 8): an op spelled by a body of other ops.
struct Function {
  std::string domain;
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> attributes;  // names without a default
  std::map<std::string, Attribute>
      attribute_defaults;  // the others (FunctionProto.attribute_proto)
  std::map<std::string, int64_t> opset_imports;
  std::vector<Node> nodes;  // attributes that refer to the function's own: AttributeReference
  std::string opaque;
};

struct Model {
  int64_t ir_version = 8;
  std::map<std::string, int64_t> opset_imports;  // "" is the standard domain
  std::string producer_name;
  std::string producer_version;
  std::vector<std::pair<std::string, std::string>> metadata;
  Graph graph;
  std::vector<Function> functions;
  std::string opaque;

  int64_t opset() const;  // of the standard domain; 0 when it is not imported
};

// Who makes and who uses a value. Built once over a graph, stale after any change to it.
class GraphIndex {
 public:
  explicit GraphIndex(const Graph& graph);
  struct Use {
    size_t node;   // index into graph.nodes
    size_t input;  // which input of it
  };
  static constexpr size_t kNone = static_cast<size_t>(-1);

  size_t producer(std::string_view value) const;  // node index or kNone
  const std::vector<Use>& uses(
      std::string_view value) const;                 // uses inside subgraphs have input kNone
  size_t initializer(std::string_view value) const;  // index or kNone
  bool is_graph_input(std::string_view value) const;
  bool is_graph_output(std::string_view value) const;

 private:
  struct Entry {
    size_t producer = kNone;
    size_t initializer = kNone;
    bool input = false;
    bool output = false;
    std::vector<Use> uses;
  };
  const Entry* find(std::string_view value) const;
  std::unordered_map<std::string, Entry> entries_;
};

// Node indexes in an order where every value is made before it is used; stable: nodes keep their
// relative order where that is allowed. Errors: a cycle, naming a node on it.
Result<std::vector<size_t>> topological_order(const Graph& graph);

// The rules every pass must keep: names defined once, inputs defined, outputs made, no cycle.
// Errors name the node and the value.
Status check(const Model& model);

}  // namespace octavo
