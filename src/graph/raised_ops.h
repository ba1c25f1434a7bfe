#pragma once
// The ops that a raised encoder is made of (passes/raise.h makes them, runtime/fused compiles them;
// the two rooms meet here only). A raised graph works on rows: every value is [tokens, width] with
// the tokens of all texts one after another, and what depends on a token's place or neighbours is
// inside two ops, Embed and FusedAttention. Inputs in brackets may be missing (""). Constants are
// initializers of the raised model, under the names they had; a scalar may be [] or [1], a vector
// [N], [1, N] or [1, 1, N], of float32, float16 or bfloat16.
//
// graph inputs     input_ids [tokens] int64, and the position values (float32 [length, width], one
//                  row a position, the same for every text; see Raised::positions)
// Embed            (input_ids, table, [token_type_row], [positions], [scale])
//                  y = table[id] * scale[id] + token_type_row + positions[place in the text]
//                  table [V, W] float32, float16 or bfloat16; int8 with scale [V, 1] float32
//                  token_type_row [1, W]; positions: the name of a position value
// RMSNorm          (x, gain) {epsilon}
//                  y = x / sqrt(mean(x^2) + epsilon) * gain
// Linear           (x, weight, [bias], [scale], [zero_point], [factor])
//                  {kind, scales, transposed, bits, block_size, K, N}
//   kind "float"   y = (x * factor) weight + bias; weight [K, N], or [N, K] when transposed is 1,
//                  of float32, float16 or bfloat16
//   kind "int8"    the same with weight' = (weight - zero_point) * scale, weight [K, N] int8 or
//                  uint8, scale a scalar or [N], zero_point the same or missing (0); x * factor is
//                  quantized to uint8 before the product, in the original with one scale and
//                  zero point for all tokens (scales "tensor") or for each ("row");
//                  "row16": to 16 bits, for each
//   kind "nbits"   weight, scale, zero_point as MatMulNBits of com.microsoft has them: inputs B,
//                  scales and zero_points, attributes bits, block_size, K and N
// FusedAttention   (q, k, v, [cos], [sin], [q_gain], [k_gain])
//                  {heads, kv_heads, head_dim, scale, causal, window, epsilon}
//                  q [tokens, heads * head_dim], k and v [tokens, kv_heads * head_dim], heads side
//                  by side; y like q. Each is the output of a Linear. By head, in this order: norm
//                  (RMSNorm over head_dim with q_gain / k_gain [head_dim], epsilon), rotation
//                  (x * cos + rotate_half(x) * sin, rotate_half([a, b]) = [-b, a]; cos and sin are
//                  names of position values of width head_dim), then within each text
//                  softmax(scale * q k^T) v. causal 1: position i sees 0..i. window > 0: and only
//                  those above i - window. Query head h uses key/value head h / (heads / kv_heads).
// SwiGLU           (gate, up)                  silu(gate) * up
// GeGLU            (gate, up) {approximate}    gelu(gate) * up; "none" (erf) or "tanh"
// Silu             (x)                         x * sigmoid(x)
// and of the standard domain, by row: Add (x, y), Gelu (x) {approximate: "none" or "tanh"},
// Relu (x), LayerNormalization (x, gain, [bias]) {epsilon}.

#include <string_view>

namespace octavo::raised {

inline constexpr std::string_view kDomain = "ai.octavo";

inline constexpr std::string_view kEmbed = "Embed";
inline constexpr std::string_view kRmsNorm = "RMSNorm";
inline constexpr std::string_view kLinear = "Linear";
inline constexpr std::string_view kFusedAttention = "FusedAttention";
inline constexpr std::string_view kSwiGlu = "SwiGLU";
inline constexpr std::string_view kGeGlu = "GeGLU";
inline constexpr std::string_view kSilu = "Silu";

inline constexpr std::string_view kFloat = "float";
inline constexpr std::string_view kInt8 = "int8";
inline constexpr std::string_view kNBits = "nbits";

inline constexpr std::string_view kPerTensor = "tensor";
inline constexpr std::string_view kPerRow = "row";
inline constexpr std::string_view kPerRow16 = "row16";

// The one graph input that is fed with ids.
inline constexpr std::string_view kInputIds = "input_ids";

}  // namespace octavo::raised
