#pragma once
// What architectures share, as expressions.

#include <string>

#include "graph/builder.h"
#include "toolkit/architectures/checkpoint.h"
#include "toolkit/architectures/config.h"

namespace octavo::architectures {

// x W^T + b, W = "<key>.weight" [out, in], in scope `name`.
struct Linear {
  int64_t in;
  int64_t out;
  bool bias;
};
Value linear(Checkpoint& weights, const Value& x, const std::string& key, const std::string& name,
             const Linear& shape);

// hidden_act by the reference implementation's names; unknown ones are an unsupported error.
enum class Activation : uint8_t { gelu, gelu_tanh, quick_gelu, relu, silu };
Activation read_activation(Config& config, const std::string& fallback);
Value activate(Activation activation, const Value& x);

// 0, 1, ..., S - 1 as int64 [S], S the second axis of input_ids.
Value positions(const Value& input_ids);
// [B, 1, 1, S], true where attention_mask is not 0.
Value real_tokens(const Value& attention_mask);
// What to add to scores: 0 where allowed, else functions::kMasked.
Value additive(const Value& allowed);

// [B, S, heads * head_dim] -> [B, S, heads, head_dim].
Value split_heads(const Value& x, int64_t heads, int64_t head_dim);

}  // namespace octavo::architectures
