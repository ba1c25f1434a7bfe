#pragma once
// The tensors of an EncoderSpec, found, checked and turned into pointers: what forward.cc reads.

#include <vector>

#include "base/result.h"
#include "kernels/kernels.h"
#include "runtime/fused/encoder.h"
#include "runtime/fused/spec.h"
#include "tensor/tensor.h"

namespace octavo::fused {

struct Linear {
  const LinearSpec* spec = nullptr;
  kernels::LayerS8 s8{};
  const float* f32 = nullptr;
  const uint16_t* bf16 = nullptr;
  const float* bias = nullptr;
  const float* factor = nullptr;
};

struct Norm {
  NormKind kind = NormKind::none;
  float epsilon = 0;
  const float* gain = nullptr;
  const float* bias = nullptr;
};

struct Layer {
  const LayerSpec* spec = nullptr;
  Norm attention_norm, q_norm, k_norm, attention_output_norm, mlp_norm, mlp_output_norm;
  std::vector<Linear> qkv, up;
  Linear out, down;
};

struct Weights {
  EncoderSpec spec;
  std::vector<Layer> layers;
  Tensor table;                        // [vocabulary][hidden], f32, f16 or bf16; s8 with
  const float* table_scale = nullptr;  // one a row
  const float* token_type = nullptr;
  const float* position = nullptr;
  const float* cos = nullptr;
  const float* sin = nullptr;
  Norm embedding_norm, final_norm;
  std::vector<Linear> final_linear;
  size_t bytes = 0;  // without the table
  std::vector<Tensor> kept;
};

// Layers point into spec, so it lives where the layers do.
Status find_weights(Weights& weights, const FusedEncoder::Lookup& lookup);

}  // namespace octavo::fused
