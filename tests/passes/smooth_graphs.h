#pragma once
// Small graphs for the smoothing tests: written with GraphBuilder, shapes of activations as a
// calibration with two probe runs (batch 2 and 3, sequence 5 and 7) would have seen them.

#include <cmath>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "passes/calibration_stats.h"

namespace octavo::smooth_test {

inline constexpr int64_t kBatch = -1;
inline constexpr int64_t kSequence = -2;

class Graphs {
 public:
  GraphBuilder b{"g"};
  ValueShapes shapes;

  // Remembers the shape of a value; kBatch and kSequence differ between the runs.
  Value seen(const Value& value, const Shape& shape) {
    for (const auto& [batch, sequence] : {std::pair<int64_t, int64_t>{2, 5}, {3, 7}}) {
      Shape run = shape;
      for (int64_t& d : run) d = d == kBatch ? batch : d == kSequence ? sequence : d;
      shapes[value.name].push_back(run);
    }
    return value;
  }
  Value input(const std::string& name, const Shape& shape) {
    std::vector<Dim> dims;
    for (const int64_t d : shape) {
      if (d == kBatch) {
        dims.emplace_back("batch");
      } else if (d == kSequence) {
        dims.emplace_back("sequence");
      } else {
        dims.emplace_back(d);
      }
    }
    return seen(b.input(name, DType::f32, dims), shape);
  }
  // Deterministic, all different, none zero: 0.5, -1.25, 2, ...
  Value weight(const std::string& name, const Shape& shape) {
    const int64_t count = *element_count(shape);
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back((i % 2 == 0 ? 0.5F : -0.5F) * static_cast<float>(1 + i));
    return b.initializer(Initializer(name, Tensor::of<float>(shape, values)));
  }
  Value node(const std::string& op, const std::vector<Value>& in, const Shape& shape,
             Attributes attributes = {}) {
    return seen(b.op(op, in, std::move(attributes)), shape);
  }
  Model finish(const Value& y, int64_t opset = 17) {
    b.output(y, "y", DType::f32, {"batch", "sequence", "width"});
    if (const auto it = shapes.find(y.name); it != shapes.end()) shapes["y"] = it->second;
    return std::move(b).finish(opset);
  }
};

}  // namespace octavo::smooth_test
