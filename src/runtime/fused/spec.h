#pragma once
// An encoder as the ragged path runs it: a table, layers of packed weights, a norm at the end.
// Plain numbers and tensor names, so that a packed file can hold it and be checked against it.
// compile.h makes one from a raised graph, encoder.h runs it.
//
// Tensors are named after what they are ("layers.3.down.weight"). A packed linear is
//   .weight  s8   panels of kernels::pack_s8, or f32 / bf16 panels of pack_f32 / pack_bf16
//   .sums    i32  [padded n], s8 only: column sums of the packed weight
//   .scale   f32  [padded n], s8 only
//   .bias    f32  [padded n], when has_bias
//   .factor  f32  [k], when has_factor: multiplied into the input first (SmoothQuant's explicit
//   Mul)

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace octavo::fused {

enum class WeightKind : uint8_t { s8, f32, bf16 };

// What a file asks for before an s8 product. The path quantizes each row on its own whatever the
// file says; only RunOptions::exact_onnx makes one scale for all rows where the file has one.
// row16: 16 bits a row, as two bytes.
enum class RowScales : uint8_t { tensor, row, row16 };

struct LinearSpec {
  std::string name;
  WeightKind kind = WeightKind::s8;
  size_t k = 0;
  // Sections of columns, each beginning at a panel, so that some can be computed without the
  // others: q | k | v of an attention. A single one as a rule.
  std::vector<size_t> sections;
  // One section, packed as alternating groups of 32 gate and 32 up columns.
  bool gated = false;
  bool has_bias = false;
  bool has_factor = false;
  RowScales scales = RowScales::tensor;  // s8 only

  size_t panel() const;                // columns of a panel
  size_t begin(size_t section) const;  // first packed column of a section
  size_t columns() const;              // packed columns of all, a multiple of panel()
  bool operator==(const LinearSpec&) const = default;
};

enum class NormKind : uint8_t { none, rms, layer };

struct NormSpec {
  std::string name;  // .gain, and .bias of a layer norm
  NormKind kind = NormKind::none;
  float epsilon = 0;
  bool operator==(const NormSpec&) const = default;
};

enum class Activation : uint8_t { gelu, gelu_tanh, silu, relu };

struct LayerSpec {
  NormSpec attention_norm;  // before q, k, v
  // q | k | v in one when they share kind and factor, else three of one section each.
  std::vector<LinearSpec> qkv;
  size_t heads = 0;
  size_t kv_heads = 0;
  size_t head_dim = 0;
  float scale = 0;  // of the scores
  bool causal = false;
  size_t window = 0;    // 0: none; else a key is seen when it is less than `window` behind
  bool rotary = false;  // with tensors rotary.cos and rotary.sin, [positions][head_dim]
  NormSpec q_norm;      // a head at a time, rms or none
  NormSpec k_norm;
  LinearSpec out;
  NormSpec attention_output_norm;  // after the residual sum (post-norm models)
  NormSpec mlp_norm;
  // gate|up in one when gated and s8; else gate, up; or up alone.
  std::vector<LinearSpec> up;
  bool gated = false;
  size_t inner = 0;
  Activation activation = Activation::silu;
  LinearSpec down;
  NormSpec mlp_output_norm;
  bool operator==(const LayerSpec&) const = default;
};

// A multiple of 16, so that what follows in a packed file lies where its type may.
constexpr size_t table_scales(size_t vocabulary) { return (vocabulary + 15) / 16 * 16; }

struct EncoderSpec {
  size_t vocabulary = 0;
  size_t hidden = 0;
  size_t positions = 0;         // most tokens a text may have; rows of the position tensors
  bool table_scales = false;    // an s8 table, with embed.scale [table_scales()]
  bool token_type_row = false;  // embed.token_type [hidden], added to every token
  bool position_table = false;  // embed.position [positions][hidden]
  NormSpec embedding_norm;
  std::vector<LayerSpec> layers;
  // None or one, before the final norm, from the residual stream to itself: a rotation back
  // (passes/rotate_residual.h).
  std::vector<LinearSpec> final_linear;
  NormSpec final_norm;
  bool operator==(const EncoderSpec&) const = default;
};

}  // namespace octavo::fused
