#pragma once
// The ops of domain ai.octavo: pieces of a model that standard opset 17 spells in several nodes,
// each defined once, by a body of standard ops. A graph that calls them is a complete ONNX model
// (model-local functions); graph/inline.h turns the calls into their bodies. Layouts: B batch, S
// sequence, H heads, K key/value heads, D head dimension.

#include <span>
#include <string_view>

#include "graph/builder.h"

namespace octavo::functions {

inline constexpr std::string_view kDomain = "ai.octavo";
inline constexpr int64_t kOpset = 17;  // the standard opset the bodies are written in

// Added to a score that must not count. exp() of it is exactly 0 in float32; unlike -FLT_MAX it
// stays finite in bfloat16, so a row with nothing to look at becomes a mean, never NaN.
inline constexpr float kMasked = -1e9F;

// x / sqrt(mean(x^2) + epsilon) * weight over the last axis. The gain multiplies last, so that
// smoothing can fold into it.
Value rms_norm(const Value& x, const Value& weight, float epsilon);
// x * cos + rotate_half(x) * sin, rotate_half([a, b]) = [-b, a]; cos and sin are [S, 1, D] for an x
// of [B, S, H, D].
Value rotary_embedding(const Value& x, const Value& cos, const Value& sin);
// softmax(scale * query key^T + mask) value, as [B, S, H*D]; query is [B, S, H, D], key and value
// [B, S, H, D], mask adds to [B, H, S, S].
Value attention(const Value& query, const Value& key, const Value& value, const Value& mask,
                float scale);
struct GroupedHeads {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
};
// The same when H / K query heads share one of the K key/value heads: key and value are
// [B, S, K, D].
Value grouped_query_attention(const Value& query, const Value& key, const Value& value,
                              const Value& mask, float scale, const GroupedHeads& shape);
// gate * sigmoid(gate) * up.
Value swiglu(const Value& gate, const Value& up);
// x * (1 + erf(x / sqrt(2))) / 2.
Value gelu(const Value& x);
// x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2.
Value gelu_tanh(const Value& x);

// All definitions, sorted by name.
std::span<const Function> all();
// Null when there is none of this name in the domain.
const Function* find(std::string_view name);

}  // namespace octavo::functions
