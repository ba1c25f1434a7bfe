#include "runtime/registry.h"

#include "runtime/ops/families.h"

namespace octavo {

const Registry& Registry::instance() {
  static const Registry filled = [] {
    Registry registry;
    ops::register_activation(registry);
    ops::register_arg_max(registry);
    ops::register_arithmetic(registry);
    ops::register_cast(registry);
    ops::register_comparison(registry);
    ops::register_concat(registry);
    ops::register_constant(registry);
    ops::register_einsum(registry);
    ops::register_fused_attention(registry);
    ops::register_fused_gelu(registry);
    ops::register_gather(registry);
    ops::register_gemm(registry);
    ops::register_group_query_attention(registry);
    ops::register_if(registry);
    ops::register_layer_normalization(registry);
    ops::register_logical(registry);
    ops::register_matmul(registry);
    ops::register_matmul_integer(registry);
    ops::register_matmul_nbits(registry);
    ops::register_max(registry);
    ops::register_multi_head_attention(registry);
    ops::register_pad(registry);
    ops::register_pow(registry);
    ops::register_quantize_linear(registry);
    ops::register_reduce(registry);
    ops::register_reshape(registry);
    ops::register_rotary_embedding(registry);
    ops::register_scatter(registry);
    ops::register_skip_layer_normalization(registry);
    ops::register_slice(registry);
    ops::register_softmax(registry);
    ops::register_transpose(registry);
    ops::register_unary_math(registry);
    ops::register_where(registry);
    return registry;
  }();
  return filled;
}

}  // namespace octavo
