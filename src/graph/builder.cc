#include "graph/builder.h"

#include <cassert>
#include <utility>

#include "graph/constants.h"

namespace octavo {

namespace {

Value binary(const char* op_type, const Value& a, const Value& b) {
  GraphBuilder* builder = a.builder != nullptr ? a.builder : b.builder;
  return builder->op(op_type, {a, b});
}

}  // namespace

Value operator+(const Value& a, const Value& b) { return binary("Add", a, b); }
Value operator-(const Value& a, const Value& b) { return binary("Sub", a, b); }
Value operator*(const Value& a, const Value& b) { return binary("Mul", a, b); }
Value operator/(const Value& a, const Value& b) { return binary("Div", a, b); }
Value operator+(const Value& a, float b) { return binary("Add", a, a.builder->scalar(b)); }
Value operator*(const Value& a, float b) { return binary("Mul", a, a.builder->scalar(b)); }
Value operator/(const Value& a, float b) { return binary("Div", a, a.builder->scalar(b)); }

GraphBuilder::GraphBuilder(std::string name) { graph_.name = std::move(name); }

Value GraphBuilder::input(const std::string& name, DType dtype, std::vector<Dim> shape) {
  graph_.inputs.push_back({.name = name, .dtype = dtype, .shape = std::move(shape), .opaque = {}});
  return {this, name};
}

void GraphBuilder::output(const Value& value, const std::string& name, DType dtype,
                          std::vector<Dim> shape) {
  rename_value(graph_.nodes, value.name, name);
  graph_.outputs.push_back({.name = name, .dtype = dtype, .shape = std::move(shape), .opaque = {}});
}

Value GraphBuilder::initializer(Initializer initializer) {
  const std::string name = initializer.name();
  if (initializers_.insert(name).second) graph_.initializers.push_back(std::move(initializer));
  return {this, name};
}

Value GraphBuilder::constant(const Tensor& tensor) {
  for (const auto& [known, name] : constants_) {
    if (same_content(known, tensor)) return {this, name};
  }
  Value made{this, constant_name(tensor)};
  if (body_) {
    Node node;
    node.op_type = "Constant";
    node.attributes.emplace("value", tensor);
    made = add(std::move(node), {}, 1)[0];
  } else {
    for (int i = 1; !initializers_.insert(made.name).second; ++i)
      made.name = constant_name(tensor) + "." + std::to_string(i);
    graph_.initializers.emplace_back(made.name, tensor);
  }
  constants_.emplace_back(tensor, made.name);
  return made;
}

std::string GraphBuilder::node_name(const std::string& op_type) {
  const std::string name = scopes_ + (body_ ? "" : "/") + op_type;
  const size_t before = names_[name]++;
  return before == 0 ? name : name + "_" + std::to_string(before);
}

std::vector<Value> GraphBuilder::add(Node node, const std::vector<Value>& inputs, size_t outputs) {
  node.name = node_name(node.op_type);
  for (const auto& in : inputs) node.inputs.push_back(in.name);
  std::vector<Value> made;
  for (size_t i = 0; i < outputs; ++i) {
    node.outputs.push_back(node.name + "_output_" + std::to_string(i));
    made.push_back({this, node.outputs.back()});
  }
  graph_.nodes.push_back(std::move(node));
  return made;
}

std::vector<Value> GraphBuilder::ops(const std::string& op_type, const std::vector<Value>& inputs,
                                     size_t outputs, Attributes attributes) {
  Node node;
  node.op_type = op_type;
  node.attributes = std::move(attributes);
  return add(std::move(node), inputs, outputs);
}

Value GraphBuilder::op(const std::string& op_type, const std::vector<Value>& inputs,
                       Attributes attributes) {
  return ops(op_type, inputs, 1, std::move(attributes))[0];
}

Value GraphBuilder::call(const Function& function, const std::vector<Value>& inputs,
                         Attributes attributes) {
  assert(function.outputs.size() == 1 && inputs.size() <= function.inputs.size());
  bool known = false;
  for (const auto& f : functions_)
    known = known || (f.domain == function.domain && f.name == function.name);
  if (!known) functions_.push_back(function);
  Node node;
  node.op_type = function.name;
  node.domain = function.domain;
  node.attributes = std::move(attributes);
  return add(std::move(node), inputs, 1)[0];
}

Model GraphBuilder::finish(int64_t opset) && {
  Model model;
  model.opset_imports[""] = opset;
  for (const auto& f : functions_) model.opset_imports[f.domain] = 1;
  model.functions = std::move(functions_);
  model.graph = std::move(graph_);
  return model;
}

FunctionBuilder::FunctionBuilder(std::string domain, std::string name) : body_(name) {
  function_.domain = std::move(domain);
  function_.name = std::move(name);
  body_.body_ = true;
}

Value FunctionBuilder::input(const std::string& name) {
  function_.inputs.push_back(name);
  return {&body_, name};
}

Value FunctionBuilder::float_attribute(const std::string& name) {
  return attribute_constant(name, "value_float", 1);  // AttributeProto.FLOAT
}

Value FunctionBuilder::ints_attribute(const std::string& name) {
  return attribute_constant(name, "value_ints", 7);  // AttributeProto.INTS
}

Value FunctionBuilder::attribute_constant(const std::string& name, const std::string& key,
                                          int32_t type) {
  function_.attributes.push_back(name);
  return body_.op("Constant", {}, {{key, AttributeReference{name, type}}});
}

Function FunctionBuilder::finish(const Value& output, const std::string& output_name,
                                 int64_t opset) && {
  function_.nodes = std::move(body_.graph_.nodes);
  rename_value(function_.nodes, output.name, output_name);
  function_.outputs.push_back(output_name);
  function_.opset_imports[""] = opset;
  return std::move(function_);
}

void rename_value(std::vector<Node>& nodes, const std::string& from, const std::string& to) {
  for (auto& node : nodes) {
    for (auto& in : node.inputs) {
      if (in == from) in = to;
    }
    for (auto& out : node.outputs) {
      if (out == from) out = to;
    }
  }
}

}  // namespace octavo
