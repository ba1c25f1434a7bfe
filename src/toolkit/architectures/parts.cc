#include "toolkit/architectures/parts.h"

#include <utility>

#include "graph/functions.h"

namespace octavo::architectures {

Value linear(Checkpoint& weights, const Value& x, const std::string& key, const std::string& name,
             const Linear& shape) {
  GraphBuilder& b = *x.builder;
  const auto scope = b.scope(name);
  const Value y = b.op("MatMul", {x, weights.transposed(b, key + ".weight", shape.in, shape.out)});
  return shape.bias ? y + weights.weight(b, key + ".bias", {shape.out}) : y;
}

Activation read_activation(Config& config, const std::string& fallback) {
  static const std::pair<const char*, Activation> kNames[] = {
      {"gelu", Activation::gelu},
      {"gelu_python", Activation::gelu},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"quick_gelu", Activation::quick_gelu},
      {"relu", Activation::relu},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
  };
  const std::string wanted = config.text("hidden_act", fallback);
  std::string known;
  for (const auto& [name, activation] : kNames) {
    if (wanted == name) return activation;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  config.unsupported("hidden_act \"" + wanted + "\"; known are " + known);
  return Activation::relu;
}

Value activate(Activation activation, const Value& x) {
  GraphBuilder& b = *x.builder;
  switch (activation) {
    case Activation::gelu:
      return functions::gelu(x);
    case Activation::gelu_tanh:
      return functions::gelu_tanh(x);
    case Activation::quick_gelu:
      return x * b.op("Sigmoid", {x * 1.702F});
    case Activation::silu:
      return x * b.op("Sigmoid", {x});
    case Activation::relu:
      break;
  }
  return b.op("Relu", {x});
}

Value positions(const Value& input_ids) {
  GraphBuilder& b = *input_ids.builder;
  const auto scope = b.scope("positions");
  const Value length = b.op("Shape", {input_ids}, {{"start", 1}, {"end", 2}});
  const Value count = b.op("Squeeze", {length, b.ints({0})});
  return b.op("Range", {b.scalar(int64_t{0}), count, b.scalar(int64_t{1})});
}

Value real_tokens(const Value& attention_mask) {
  GraphBuilder& b = *attention_mask.builder;
  const Value real = b.op("Cast", {attention_mask}, {{"to", static_cast<int64_t>(DType::boolean)}});
  return b.op("Unsqueeze", {real, b.ints({1, 2})});
}

Value additive(const Value& allowed) {
  GraphBuilder& b = *allowed.builder;
  return b.op("Where", {allowed, b.scalar(0.0F), b.scalar(functions::kMasked)});
}

Value split_heads(const Value& x, int64_t heads, int64_t head_dim) {
  GraphBuilder& b = *x.builder;
  return b.op("Reshape", {x, b.ints({0, 0, heads, head_dim})});
}

}  // namespace octavo::architectures
