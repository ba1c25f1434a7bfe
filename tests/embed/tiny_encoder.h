#pragma once
// A model of a few lines: a table of 32 tokens, a mixing step over the sequence, a product. Its
// bits depend on every token and on nothing else.

#include <cmath>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace octavo::test {

inline constexpr int64_t kVocabulary = 32;
inline constexpr int64_t kWidth = 8;

inline Tensor wave(Shape shape, double step) {
  std::vector<float> values(static_cast<size_t>(*element_count(shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
  return Tensor::of(std::move(shape), values);
}

struct TinyOptions {
  std::vector<std::string> inputs{"input_ids", "attention_mask"};
  DType ids = DType::i64;
  std::string output = "last_hidden_state";
  std::vector<Dim> shape{"batch", "sequence", kWidth};
  bool pooled = false;     // output the sum over the sequence instead
  bool quantized = false;  // DynamicQuantizeLinear before the product
  bool cached = false;     // x as keys behind a cache [batch, 2, past, 4], as decoders have
  float scale = 1;         // of the output
};

inline Model tiny_encoder(const TinyOptions& options = {}) {
  GraphBuilder b("tiny");
  Value mask;
  Value x;
  for (const std::string& name : options.inputs) {
    const Value in = b.input(name, options.ids, {"batch", "sequence"});
    if (name == "input_ids") {
      x = b.op("Gather", {b.initializer({"table", wave({kVocabulary, kWidth}, 0.37)}), in});
    } else {
      // Each input moves the result its own way, so that a wrong one shows.
      const auto weight = static_cast<float>(name.size());
      const Value wide = b.op("Unsqueeze", {b.op("Cast", {in}, {{"to", int64_t{1}}}), b.ints({2})});
      x = x + wide * weight;
    }
  }
  x = x + b.op("ReduceMean", {x}, {{"axes", Ints{1}}, {"keepdims", int64_t{1}}});
  if (options.quantized) {
    const auto q = b.ops("DynamicQuantizeLinear", {x}, 3);
    x = b.op("DequantizeLinear", {q[0], q[1], q[2]});
  }
  if (options.cached) {
    const Value past = b.input("past_key_values.0.key", DType::f32, {"batch", 2, "past", 4});
    const Attributes swap{{"perm", Ints{0, 2, 1, 3}}};
    const Value keys = b.op("Transpose", {b.op("Reshape", {x, b.ints({0, 0, 2, 4})})}, swap);
    const Value all = b.op("Concat", {past, keys}, {{"axis", int64_t{2}}});
    b.output(b.op("Identity", {all}), "present.0.key", DType::f32, {"batch", 2, "all", 4});
    x = b.op("Reshape", {b.op("Transpose", {all}, swap), b.ints({0, 0, kWidth})});
  }
  x = b.op("MatMul", {x, b.initializer({"weight", wave({kWidth, kWidth}, 0.71)})});
  x = b.op("Tanh", {x}) * options.scale;
  if (options.pooled) x = b.op("ReduceSum", {x, b.ints({1})}, {{"keepdims", int64_t{0}}});
  b.output(x, options.output, DType::f32, options.shape);
  return std::move(b).finish(17);
}

}  // namespace octavo::test
