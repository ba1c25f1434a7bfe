// RotaryEmbedding of com.microsoft: x [batch, sequence, hidden] or [batch, heads, sequence, size],
// position_ids [1] (of the first token) or [batch, sequence], caches [positions, half]. The
// attribute `scale` is accepted and ignored, as onnxruntime's CPU kernel does.

#include <algorithm>
#include <string>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"
#include "runtime/ops/rotary.h"

namespace octavo::ops {

namespace {

class RotaryEmbedding final : public Op {
 public:
  RotaryEmbedding(bool interleaved, size_t heads, size_t dims)
      : interleaved_(interleaved), heads_(heads), dims_(dims) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    if (node.int_or("is_packed_batching", 0) != 0)
      return Error{Code::unsupported, "is_packed_batching is not here"};
    const int64_t heads = node.int_or("num_heads", 0);
    const int64_t dims = node.int_or("rotary_embedding_dim", 0);
    if (heads < 0 || dims < 0 || dims % 2 != 0 || (dims > 0 && heads == 0))
      return Error{Code::invalid_input,
                   "rotary_embedding_dim must be even and come with num_heads"};
    return make_op<RotaryEmbedding>(node.int_or("interleaved", 0) != 0, static_cast<size_t>(heads),
                                    static_cast<size_t>(dims));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& positions = context.required(1);
    const Tensor& cos = context.required(2);
    const Tensor& sin = context.required(3);
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    if (positions.dtype() != DType::i64) return unsupported_dtype(positions.dtype());
    if (x.rank() != 3 && x.rank() != 4)
      return Error{Code::invalid_input, "an input of shape " + to_string(x.shape())};
    if (cos.rank() != 2 || cos.shape() != sin.shape() || cos.dtype() != x.dtype() ||
        sin.dtype() != x.dtype())
      return Error{Code::invalid_input, "caches of shape " + to_string(cos.shape()) + " and " +
                                            to_string(sin.shape()) + " or another type"};
    const auto half = static_cast<size_t>(cos.dim(1));
    const bool by_head = x.rank() == 4;
    const auto batch = static_cast<size_t>(x.dim(0));
    const auto tokens = static_cast<size_t>(x.dim(by_head ? 2 : 1));
    const auto last = static_cast<size_t>(x.shape().back());
    size_t size = last;
    if (!by_head) size = dims_ > 0 ? last / heads_ : 2 * half;
    if (dims_ > 0 ? 2 * half != dims_ : 2 * half != size)
      return Error{Code::invalid_input, "caches for " + std::to_string(2 * half) +
                                            " channels, heads of " + std::to_string(size)};
    if (size == 0 || last % size != 0 || 2 * half > size)
      return Error{Code::invalid_input, "a hidden size of " + std::to_string(last) +
                                            " is not made of heads of " + std::to_string(size)};
    const size_t heads = by_head ? static_cast<size_t>(x.dim(1)) : last / size;
    const bool one = positions.size() == 1 && positions.rank() <= 1;
    if (!one && positions.shape() != Shape{x.dim(0), static_cast<int64_t>(tokens)})
      return Error{Code::invalid_input, "position_ids of shape " + to_string(positions.shape())};
    const auto* ids = positions.data<int64_t>();
    for (int64_t i = 0; i < positions.size(); ++i) {
      const int64_t most = cos.dim(0) - (one ? static_cast<int64_t>(tokens) : 1);
      if (ids[i] < 0 || ids[i] > most)
        return Error{Code::invalid_input, "position " + std::to_string(ids[i]) +
                                              " is outside a cache of " +
                                              std::to_string(cos.dim(0))};
    }
    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_TRY(const float* pc, as_floats(context, cos));
    OCTAVO_TRY(const float* ps, as_floats(context, sin));
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), x.shape()));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    float* py = result.data();
    const size_t rows = batch * tokens * heads;  // in the order of x
    context.pool().parallel_for(
        rows, std::max<size_t>(1, 4096 / size), [&](size_t begin, size_t end) {
          for (size_t r = begin; r < end; ++r) {
            const size_t b = r / (tokens * heads);
            const size_t t = by_head ? r % tokens : r / heads % tokens;
            const auto at =
                static_cast<size_t>(one ? ids[0] + static_cast<int64_t>(t) : ids[b * tokens + t]);
            rotate_head(px + r * size, size, half, pc + at * half, ps + at * half, interleaved_,
                        py + r * size);
          }
        });
    result.finish(context.pool());
    return Done{};
  }

 private:
  bool interleaved_;
  size_t heads_;
  size_t dims_;
};

}  // namespace

void register_rotary_embedding(Registry& registry) {
  registry.add({.op_type = "RotaryEmbedding",
                .through = 1,
                .min_inputs = 4,
                .max_inputs = 4,
                .make = RotaryEmbedding::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
