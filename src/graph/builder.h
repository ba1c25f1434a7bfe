#pragma once
// Graphs written as expressions. Every op becomes a node named after the scopes it was written in,
// "/layers.0/self_attn/q_proj/MatMul", as torch.onnx names them; equal constants are one
// initializer.
//
//   GraphBuilder b("bert");
//   const Value x = b.input("x", DType::f32, {"batch", 8});
//   {
//     const auto scope = b.scope("act");
//     b.output(x * b.op("Sigmoid", {x}), "y", DType::f32, {"batch", 8});
//   }
//   Model model = std::move(b).finish(17);

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"

namespace octavo {

class GraphBuilder;

// A value of the graph under construction; without a builder it is an optional input left out.
struct Value {
  GraphBuilder* builder = nullptr;
  std::string name;
};

Value operator+(const Value& a, const Value& b);
Value operator-(const Value& a, const Value& b);
Value operator*(const Value& a, const Value& b);
Value operator/(const Value& a, const Value& b);
Value operator+(const Value& a, float b);
Value operator*(const Value& a, float b);
Value operator/(const Value& a, float b);

using Attributes = std::map<std::string, Attribute>;
using Ints = std::vector<int64_t>;

class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name);
  GraphBuilder(const GraphBuilder&) = delete;  // values point to it
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  Value input(const std::string& name, DType dtype, std::vector<Dim> shape);
  // The value leaves the graph under this name. Precondition: a node made it, and it was not an
  // output before.
  void output(const Value& value, const std::string& name, DType dtype, std::vector<Dim> shape);

  // A named constant; a second one of the same name is the first (tied weights).
  Value initializer(Initializer initializer);
  // A constant named after its content, made once for equal content.
  Value constant(const Tensor& tensor);
  Value scalar(float value) { return constant(Tensor::scalar(value)); }
  Value scalar(int64_t value) { return constant(Tensor::scalar(value)); }
  Value ints(const Ints& values) {
    return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
  }

  Value op(const std::string& op_type, const std::vector<Value>& inputs,
           Attributes attributes = {});
  std::vector<Value> ops(const std::string& op_type, const std::vector<Value>& inputs,
                         size_t outputs, Attributes attributes = {});
  // A call of a model-local function with one output; the model will carry its definition.
  Value call(const Function& function, const std::vector<Value>& inputs,
             Attributes attributes = {});

  class Scope {
   public:
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { builder_.scopes_.resize(length_); }

   private:
    friend class GraphBuilder;
    Scope(GraphBuilder& builder, const std::string& name)
        : builder_(builder), length_(builder.scopes_.size()) {
      builder.scopes_ += "/" + name;
    }
    GraphBuilder& builder_;
    size_t length_;
  };
  // Nodes written while it lives are named inside it.
  [[nodiscard]] Scope scope(const std::string& name) { return Scope(*this, name); }

  // The model: ir_version 8, the standard opset given, 1 for the domain of each function called.
  Model finish(int64_t opset) &&;

 private:
  friend class FunctionBuilder;
  std::string node_name(const std::string& op_type);
  std::vector<Value> add(Node node, const std::vector<Value>& inputs, size_t outputs);

  Graph graph_;
  std::string scopes_;                             // "/layers.0/self_attn"
  std::unordered_map<std::string, size_t> names_;  // node name -> how often it was asked for
  std::unordered_set<std::string> initializers_;
  std::vector<std::pair<Tensor, std::string>> constants_;
  std::vector<Function> functions_;
  bool body_ = false;  // a function body: constants are nodes, names have no leading "/"
};

// The body of a model-local function, written the same way. Its constants become Constant nodes
// (a function has no initializers).
class FunctionBuilder {
 public:
  FunctionBuilder(std::string domain, std::string name);
  Value input(const std::string& name);
  // What a call gives as this attribute, as a constant of the body: a float32 scalar, a list of
  // int64.
  Value float_attribute(const std::string& name);
  Value ints_attribute(const std::string& name);
  Value op(const std::string& op_type, const std::vector<Value>& inputs,
           Attributes attributes = {}) {
    return body_.op(op_type, inputs, std::move(attributes));
  }
  GraphBuilder& body() { return body_; }
  Function finish(const Value& output, const std::string& output_name, int64_t opset) &&;

 private:
  Value attribute_constant(const std::string& name, const std::string& key, int32_t type);
  Function function_;
  GraphBuilder body_;
};

// Gives value `from` another name wherever the nodes (not their subgraphs) mention it.
void rename_value(std::vector<Node>& nodes, const std::string& from, const std::string& to);

}  // namespace octavo
