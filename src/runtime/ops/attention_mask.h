#pragma once
// The mask input that Attention and MultiHeadAttention of com.microsoft share, as numbers to add to
// the scores.

#include "base/result.h"
#include "runtime/op.h"
#include "runtime/ops/attention.h"

namespace octavo::ops {

// `mask` (may be null), int32: [batch] = keys kept from the start; [2 * batch] = ends, then starts;
// [batch, keys] or [batch, queries, keys] = 0 where masked. Masked scores get `filter` added.
// Errors: another shape or type.
Result<ScoreBias> mask_bias(OpContext& context, const Tensor* mask, size_t batch, size_t queries,
                            size_t keys, float filter);

// The attention_bias input (may be null): [batch or 1, heads or 1, queries, keys].
Result<ScoreBias> score_bias(OpContext& context, const Tensor* bias, size_t batch, size_t heads,
                             size_t queries, size_t keys);

}  // namespace octavo::ops
