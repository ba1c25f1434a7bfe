#pragma once
// Attention of one head by blocks of 64 keys: what the kernels of the table read, and how large it
// is. Fixed point (`attention_s16`): q, k and v as 16-bit integers with a scale a token, products
// exact in int32, twice the speed of float; `attention_f32` is the same in float, the reference.
//
// No product of integers can overflow, whatever the input, as the limits are made for that:
//  - q . k: d products of at most query_limit_s16(d)^2, together below 2^31, for every d (a large d
//    costs precision: 4095 steps at d = 128, 2047 at 512);
//  - p . v: 64 products of at most 8192 * 4095, together 2^31 - 2^19.
// Scales belong to tokens, never to a block of them: a row's bits must not change with keys that it
// does not see, and a scale over a block would carry the block's future into its past.

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace octavo::kernels {

// Keys a block, counted from the start of the sequence.
inline constexpr size_t kBlockKeys = 64;
// Probability times scale of the value, relative to the largest in its block, is an integer up to
// this.
inline constexpr int kProbabilityLimit = 8192;
inline constexpr int kValueLimit = 4095;

constexpr size_t key_blocks(size_t tokens) { return (tokens + kBlockKeys - 1) / kBlockKeys; }
constexpr size_t padded_channels(size_t d) { return (d + 15) / 16 * 16; }

// The largest magnitude in a quantized row of d queries or keys: d * limit^2 < 2^31, at most 16383.
constexpr int query_limit_s16(size_t d) {
  const uint32_t most = static_cast<uint32_t>(d < 1 ? 0x7fffffff : 0x7fffffff / d);
  uint32_t root = 0;
  for (uint32_t bit = 1U << 13; bit > 0; bit /= 2) {
    if ((root + bit) * (root + bit) <= most) root += bit;
  }
  return static_cast<int>(root);
}

// int16 a block. Keys: [(d + 1) / 2][64][2], a pair of channels of each key together, zero beyond
// d.
constexpr size_t packed_key_s16(size_t d) { return (d + 1) / 2 * 2 * kBlockKeys; }
// Values: [32][padded_channels(d)][2], a pair of tokens of each channel together. Pair i holds
// tokens value_pair(i) and the next: the order in which vpackssdw leaves the probabilities.
constexpr size_t packed_value_s16(size_t d) { return padded_channels(d) * kBlockKeys; }
constexpr size_t value_pair(size_t i) {
  return i / 16 * 32 + i % 16 / 4 * 4 + (i % 4 < 2 ? 0 : 16) + i % 2 * 2;
}
// Floats a block: the keys in the layout of pack_f32.
constexpr size_t packed_key_f32(size_t d) { return packed_f32_floats(d, kBlockKeys); }

// `key_stride` and the like lead from block to block, in elements. 64 key scales and 64 value
// scales a block, zero for tokens that do not exist.
struct Keys {
  size_t count;
  const int16_t* keys;
  size_t key_stride;
  const float* key_scale;
  size_t key_scale_stride;
  const int16_t* values;
  size_t value_stride;
  const float* value_scale;
  size_t value_scale_stride;
};
// `keys` blocks of packed_key_f32; `values` rows as they lie, value_stride floats from token to
// token.
struct KeysF32 {
  size_t count;
  const float* keys;
  size_t key_stride;
  const float* values;
  size_t value_stride;
};

// At most 64 tokens' keys, rows ld floats apart. Only the first 32 key columns are written when
// there are no more tokens; attention_f32 reads no others.
inline void pack_key_f32(size_t tokens, size_t d, const float* k, size_t ld, float* packed) {
  pack_f32(d, tokens, k, 1, ld, packed);
}

// Bytes of scratch for `rows` queries, 64-byte aligned: per row its output so far (padded), a copy
// of its integers, nine floats (with room to store sixteen at once) and the probabilities of one
// block, then one tile of products.
inline constexpr size_t kAttentionTile = 16;
constexpr size_t attention_scratch(size_t rows, size_t d) {
  const size_t lanes = (rows + 15) / 16 * 16 + 16;
  const size_t padded = padded_channels(d);
  return sizeof(float) * (rows * (padded + padded / 2 + kBlockKeys) + 9 * lanes +
                          kAttentionTile * (padded < kBlockKeys ? kBlockKeys : padded));
}

}  // namespace octavo::kernels
