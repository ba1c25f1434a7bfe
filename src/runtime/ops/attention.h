#pragma once
// Scaled dot-product attention over float rows, for the fused ops of com.microsoft: scores a block
// of queries at a time, never the whole square, and no key that the mask rules out for the block. A
// query's result depends neither on its block nor on the threads.

#include <cstddef>
#include <utility>

#include "base/function_ref.h"
#include "runtime/op.h"

namespace octavo::ops {

// Element (batch, head, token, d) lies at data[batch * b + head * h + token * t + d].
struct HeadView {
  const float* data = nullptr;
  size_t batch = 0;
  size_t head = 0;
  size_t token = 0;
  const float* at(size_t b, size_t h, size_t t) const {
    return data + b * batch + h * head + t * token;
  }
};
// [batch][token][head][size], as projections leave it.
inline HeadView by_token(const float* data, size_t tokens, size_t heads, size_t size) {
  return {data, tokens * heads * size, size, heads * size};
}
// [batch][head][token][size], as caches have it.
inline HeadView by_head(const float* data, size_t tokens, size_t heads, size_t size) {
  return {data, tokens * heads * size, tokens * size, size};
}

// Added to the scores: element (batch, head, query, key); a stride of 0 broadcasts. Null: nothing.
struct ScoreBias {
  const float* data = nullptr;
  size_t batch = 0;
  size_t head = 0;
  size_t query = 0;
};

struct AttentionProblem {
  size_t batch = 0;
  size_t heads = 0;     // of queries; a multiple of
  size_t kv_heads = 0;  // these, each shared by heads / kv_heads neighbours
  size_t queries = 0;
  size_t keys = 0;
  size_t head_size = 0;
  size_t value_size = 0;
  HeadView q, k, v;
  float scale = 1;
  float softcap = 0;  // 0: none; else scores become softcap * tanh(score / softcap)
  ScoreBias mask;     // both are added, mask first
  ScoreBias bias;
};

// `range(batch, query)` is the half-open range of keys that the query sees; both ends grow with the
// query. A query that sees none gives zeros. out[batch][query][head][value_size].
Status attend(OpContext& context, const AttentionProblem& problem,
              FunctionRef<std::pair<size_t, size_t>(size_t, size_t)> range, float* out);

}  // namespace octavo::ops
