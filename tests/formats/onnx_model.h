#pragma once
// Small ONNX files with something wrong in them, for the tests of reading.

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "formats/onnx.h"
#include "formats/onnx_proto.h"

namespace octavo {

// x -> Identity -> y, opset 17.
inline onnx::ModelProto identity_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  auto* graph = model.mutable_graph();
  graph->set_name("g");
  graph->add_input()->set_name("x");
  graph->add_output()->set_name("y");
  auto* node = graph->add_node();
  node->set_op_type("Identity");
  node->set_name("id");
  node->add_input("x");
  node->add_output("y");
  return model;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

// With one float initializer "w" of that many elements in external data described by `entries`.
inline std::string external_model(const Entries& entries, int64_t elements = 4) {
  onnx::ModelProto model = identity_model();
  auto* w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(onnx::TensorProto_DataType_FLOAT);
  w->add_dims(elements);
  w->set_data_location(onnx::TensorProto_DataLocation_EXTERNAL);
  for (const auto& [key, value] : entries) {
    auto* e = w->add_external_data();
    e->set_key(key);
    e->set_value(value);
  }
  return model.SerializeAsString();
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Expects an error of that code whose message contains each of the words.
template <class T>
void expect_error(const Result<T>& result, Code code, const std::vector<std::string>& words) {
  ASSERT_FALSE(result);
  EXPECT_EQ(static_cast<int>(result.error().code), static_cast<int>(code))
      << result.error().message;
  for (const auto& word : words)
    EXPECT_NE(result.error().message.find(word), std::string::npos)
        << "\"" << word << "\" is missing in: " << result.error().message;
}

}  // namespace octavo
