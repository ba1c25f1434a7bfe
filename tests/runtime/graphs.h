#pragma once
// Small graphs for the tests of the runtime, written in a line each.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/session.h"

namespace octavo::test {

inline Node node(std::string op, std::vector<std::string> in, std::vector<std::string> out,
                 std::map<std::string, Attribute> attributes = {}) {
  Node n;
  n.op_type = std::move(op);
  n.inputs = std::move(in);
  n.outputs = std::move(out);
  n.attributes = std::move(attributes);
  return n;
}

inline ValueInfo value(std::string name, DType dtype,
                       std::optional<std::vector<Dim>> shape = std::nullopt) {
  ValueInfo v;
  v.name = std::move(name);
  v.dtype = dtype;
  v.shape = std::move(shape);
  return v;
}

// Inputs are float32 of any shape unless given; the outputs are named.
inline Model model(std::vector<Node> nodes, std::vector<ValueInfo> inputs,
                   const std::vector<std::string>& outputs,
                   std::vector<Initializer> initializers = {}, int64_t opset = 17) {
  Model m;
  m.opset_imports[""] = opset;
  m.graph.nodes = std::move(nodes);
  m.graph.inputs = std::move(inputs);
  for (const auto& o : outputs) m.graph.outputs.push_back(value(o, DType::undefined));
  m.graph.initializers = std::move(initializers);
  return m;
}

template <class T>
std::vector<T> values(const Tensor& t) {
  EXPECT_EQ(t.dtype(), dtype_of<T>());
  return {t.data<T>(), t.data<T>() + t.size()};
}

// One node of an op, run on tensors (an undefined tensor is an absent input): its outputs.
inline Result<std::vector<Tensor>> run_node(Node n, const std::vector<Tensor>& inputs,
                                            int64_t opset = 17, int threads = 2) {
  std::vector<Feed> feeds;
  std::vector<ValueInfo> declared;
  n.inputs.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    n.inputs.push_back(inputs[i].defined() ? "in" + std::to_string(i) : "");
    if (!inputs[i].defined()) continue;
    declared.push_back(value(n.inputs[i], inputs[i].dtype()));
    feeds.emplace_back(n.inputs[i], inputs[i]);
  }
  if (n.outputs.empty()) n.outputs = {"out"};
  const auto outputs = n.outputs;
  OCTAVO_TRY(Session session, Session::create(model({std::move(n)}, declared, outputs, {}, opset),
                                              {.pool = nullptr, .threads = threads}));
  return session.run(feeds);
}

}  // namespace octavo::test
