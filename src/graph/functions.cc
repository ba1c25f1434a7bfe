#include "graph/functions.h"

#include <cassert>

namespace octavo::functions {

namespace {

FunctionBuilder begin(const char* name) { return FunctionBuilder(std::string(kDomain), name); }

Function make_rms_norm() {
  auto f = begin("RMSNorm");
  const Value x = f.input("x");
  const Value weight = f.input("weight");
  const Value epsilon = f.float_attribute("epsilon");
  // Pow, not x * x, and Div by Sqrt: the spelling that onnxruntime fuses into one kernel.
  const Value square = f.op("Pow", {x, f.body().scalar(2.0F)});
  const Value mean = f.op("ReduceMean", {square}, {{"axes", Ints{-1}}, {"keepdims", 1}});
  const Value normal = x / f.op("Sqrt", {mean + epsilon});
  return std::move(f).finish(normal * weight, "y", kOpset);
}

Function make_rotary_embedding() {
  auto f = begin("RotaryEmbedding");
  const Value x = f.input("x");
  const Value cos = f.input("cos");
  const Value sin = f.input("sin");
  const auto half = f.body().ops("Split", {x}, 2, {{"axis", -1}});
  const Value rotated = f.op("Concat", {f.op("Neg", {half[1]}), half[0]}, {{"axis", -1}});
  return std::move(f).finish(x * cos + rotated * sin, "y", kOpset);
}

// query and value are [B, H, S, D], key [B, H, D, S].
Value attend(FunctionBuilder& f, const Value& query, const Value& key, const Value& value,
             const Value& mask, const Value& scale) {
  // Scaling the query is S * D products a head instead of S * S for the scores.
  const Value scores = f.op("MatMul", {query * scale, key});
  const Value weights = f.op("Softmax", {scores + mask}, {{"axis", -1}});
  const Value mixed = f.op("MatMul", {weights, value});
  const Value rows = f.op("Transpose", {mixed}, {{"perm", Ints{0, 2, 1, 3}}});
  return f.op("Reshape", {rows, f.body().ints({0, 0, -1})});
}

Function make_attention() {
  auto f = begin("Attention");
  const Value query = f.input("query");
  const Value key = f.input("key");
  const Value value = f.input("value");
  const Value mask = f.input("mask");
  const Value scale = f.float_attribute("scale");
  const Value q = f.op("Transpose", {query}, {{"perm", Ints{0, 2, 1, 3}}});
  const Value k = f.op("Transpose", {key}, {{"perm", Ints{0, 2, 3, 1}}});
  const Value v = f.op("Transpose", {value}, {{"perm", Ints{0, 2, 1, 3}}});
  return std::move(f).finish(attend(f, q, k, v, mask, scale), "y", kOpset);
}

Function make_grouped_query_attention() {
  auto f = begin("GroupedQueryAttention");
  const Value query = f.input("query");
  const Value key = f.input("key");
  const Value value = f.input("value");
  const Value mask = f.input("mask");
  const Value scale = f.float_attribute("scale");
  const Value repeat = f.ints_attribute("repeat");            // [1, 1, H / K, 1, 1]
  const Value key_heads = f.ints_attribute("key_heads");      // [0, H, D, -1]
  const Value value_heads = f.ints_attribute("value_heads");  // [0, H, -1, D]
  const Value after_heads = f.body().ints({2});
  const auto spread = [&](const Value& x, const Value& heads) {
    const Value grouped = f.op("Unsqueeze", {x, after_heads});
    return f.op("Reshape", {f.op("Expand", {grouped, repeat}), heads});
  };
  const Value q = f.op("Transpose", {query}, {{"perm", Ints{0, 2, 1, 3}}});
  const Value k = f.op("Transpose", {key}, {{"perm", Ints{0, 2, 3, 1}}});
  const Value v = f.op("Transpose", {value}, {{"perm", Ints{0, 2, 1, 3}}});
  const Value y = attend(f, q, spread(k, key_heads), spread(v, value_heads), mask, scale);
  return std::move(f).finish(y, "y", kOpset);
}

Function make_swiglu() {
  auto f = begin("SwiGLU");
  const Value gate = f.input("gate");
  const Value up = f.input("up");
  return std::move(f).finish(gate * f.op("Sigmoid", {gate}) * up, "y", kOpset);
}

Function make_gelu() {
  auto f = begin("Gelu");
  const Value x = f.input("x");
  const Value inner = f.op("Erf", {x / 1.4142135623730951F}) + 1.0F;
  return std::move(f).finish(x * inner * 0.5F, "y", kOpset);
}

Function make_gelu_tanh() {
  auto f = begin("GeluTanh");
  const Value x = f.input("x");
  const Value cubic = f.op("Pow", {x, f.body().scalar(3.0F)}) * 0.044715F;
  const Value inner = f.op("Tanh", {(x + cubic) * 0.7978845608028654F}) + 1.0F;
  return std::move(f).finish(x * 0.5F * inner, "y", kOpset);
}

const Function& get(std::string_view name) {
  const Function* found = find(name);
  assert(found != nullptr);
  return *found;
}

}  // namespace

std::span<const Function> all() {
  static const std::vector<Function> functions = [] {
    std::vector<Function> made;
    made.push_back(make_attention());
    made.push_back(make_gelu());
    made.push_back(make_gelu_tanh());
    made.push_back(make_grouped_query_attention());
    made.push_back(make_rms_norm());
    made.push_back(make_rotary_embedding());
    made.push_back(make_swiglu());
    return made;
  }();
  return functions;
}

const Function* find(std::string_view name) {
  for (const auto& f : all()) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

Value rms_norm(const Value& x, const Value& weight, float epsilon) {
  return x.builder->call(get("RMSNorm"), {x, weight}, {{"epsilon", epsilon}});
}

Value rotary_embedding(const Value& x, const Value& cos, const Value& sin) {
  return x.builder->call(get("RotaryEmbedding"), {x, cos, sin});
}

Value attention(const Value& query, const Value& key, const Value& value, const Value& mask,
                float scale) {
  return query.builder->call(get("Attention"), {query, key, value, mask}, {{"scale", scale}});
}

Value grouped_query_attention(const Value& query, const Value& key, const Value& value,
                              const Value& mask, float scale, const GroupedHeads& shape) {
  const auto [heads, kv_heads, head_dim] = shape;
  return query.builder->call(get("GroupedQueryAttention"), {query, key, value, mask},
                             {{"scale", scale},
                              {"repeat", Ints{1, 1, heads / kv_heads, 1, 1}},
                              {"key_heads", Ints{0, heads, head_dim, -1}},
                              {"value_heads", Ints{0, heads, -1, head_dim}}});
}

Value swiglu(const Value& gate, const Value& up) {
  return gate.builder->call(get("SwiGLU"), {gate, up});
}

Value gelu(const Value& x) { return x.builder->call(get("Gelu"), {x}); }

Value gelu_tanh(const Value& x) { return x.builder->call(get("GeluTanh"), {x}); }

}  // namespace octavo::functions
