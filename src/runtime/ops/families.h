#pragma once
// Every family of ops, one file each. A new one is declared here and called in registry.cc.

#include "runtime/registry.h"

namespace octavo::ops {

void register_activation(Registry& registry);
void register_arg_max(Registry& registry);
void register_arithmetic(Registry& registry);
void register_cast(Registry& registry);
void register_comparison(Registry& registry);
void register_concat(Registry& registry);
void register_constant(Registry& registry);
void register_einsum(Registry& registry);
void register_fused_attention(Registry& registry);
void register_fused_gelu(Registry& registry);
void register_gather(Registry& registry);
void register_gemm(Registry& registry);
void register_group_query_attention(Registry& registry);
void register_if(Registry& registry);
void register_layer_normalization(Registry& registry);
void register_logical(Registry& registry);
void register_matmul(Registry& registry);
void register_matmul_integer(Registry& registry);
void register_matmul_nbits(Registry& registry);
void register_max(Registry& registry);
void register_multi_head_attention(Registry& registry);
void register_pad(Registry& registry);
void register_pow(Registry& registry);
void register_quantize_linear(Registry& registry);
void register_reduce(Registry& registry);
void register_reshape(Registry& registry);
void register_rotary_embedding(Registry& registry);
void register_scatter(Registry& registry);
void register_skip_layer_normalization(Registry& registry);
void register_slice(Registry& registry);
void register_softmax(Registry& registry);
void register_transpose(Registry& registry);
void register_unary_math(Registry& registry);
void register_where(Registry& registry);

}  // namespace octavo::ops
