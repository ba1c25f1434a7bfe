#pragma once
// A graph with one row a token, and a probe of it written by hand.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

// input_ids -> Gather -> last_hidden_state [1, length, 4]; nodes beside it are what a test is
// about.
class Sketch {
 public:
  static constexpr int64_t kLength = 6;

  Sketch() {
    ids = b.input("input_ids", DType::i64, {"batch", "length"});
    x = b.op("Gather", {constant("table", {10, 4}), ids});
    probe.shapes["input_ids"] = {1, kLength};
    see(x, {1, kLength, 4});
  }

  Value constant(const std::string& name, const Shape& shape) {
    std::vector<float> values;
    for (int64_t i = 0; i < *element_count(shape); ++i) values.push_back(static_cast<float>(i + 1));
    return b.initializer({name, Tensor::of<float>(shape, values)});
  }
  Value see(const Value& value, const Shape& shape) {
    probe.shapes[value.name] = shape;
    return value;
  }
  Value see(const Value& value, const Tensor& tensor) {
    probe.values[value.name] = tensor;
    return see(value, tensor.shape());
  }

  // Call once, last. The view looks into this object.
  View view() {
    b.output(x, "last_hidden_state", DType::f32, {"batch", "length", int64_t{4}});
    see({nullptr, "last_hidden_state"}, {1, kLength, 4});
    model = std::move(b).finish(17);
    EXPECT_TRUE(check(model));
    auto made = View::make(model, probe, "last_hidden_state");
    EXPECT_TRUE(made) << made.error().message;
    return *std::move(made);
  }

  GraphBuilder b{"sketch"};
  Value ids, x;
  Probe probe;
  Model model;
};

}  // namespace octavo::raise
