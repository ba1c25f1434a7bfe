#pragma once
// Batches by tokens for the ragged path: as many texts, of whatever lengths, as fit the budget.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/model_dir.h"
#include "runtime/fused/encoder.h"

namespace octavo {

// What messages call the text of that index.
std::string text_name(size_t text);

// Texts [begin, end) that run together: in the order they came, at most `budget` tokens, or one
// text that is longer.
struct TokenBatch {
  size_t begin;
  size_t end;
  size_t tokens;  // a text counted as fused::kShortestText at least
};
std::vector<TokenBatch> batches_by_tokens(std::span<const std::vector<int64_t>> ids, size_t budget);

// Bytes of activations that encode_ragged holds at most for batches of so many tokens: the
// workspace, and where every token's row is pooled, those rows.
size_t ragged_bytes(const fused::EncoderSpec& spec, Pooling pooling, size_t tokens);

// One pooled row a text, not normalised; ids checked against the vocabulary already, none empty.
// Errors name the text, ids[0] being number `first` (from 0): one longer than the model's
// positions, a result that is not finite.
Status encode_ragged(const fused::FusedEncoder& encoder, Pooling pooling,
                     std::span<const std::vector<int64_t>> ids, size_t budget, ThreadPool& pool,
                     float* rows, size_t first = 0);

}  // namespace octavo
