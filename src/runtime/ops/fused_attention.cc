// Attention of com.microsoft: the projection of Q, K and V by one weight matrix, then what
// MultiHeadAttention does. Past and present hold keys and values in one tensor [2, batch, heads,
// tokens, size]. Not: rotary embedding inside, shared buffers.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "runtime/ops/attention.h"
#include "runtime/ops/attention_mask.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/gemm_f32.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

struct Options {
  size_t heads;
  float scale;
  float filter;
  bool causal;
  std::vector<int64_t> sizes;  // of Q, K and V together with all heads; empty: a third each
};

class FusedAttention final : public Op {
 public:
  FusedAttention(Options options, PackedF32 weights)
      : o_(std::move(options)), weights_(std::move(weights)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    const int64_t heads = node.int_or("num_heads", 0);
    if (heads <= 0 || heads > 65536)
      return Error{Code::invalid_input, "num_heads " + std::to_string(heads)};
    if (node.int_or("do_rotary", 0) != 0 || node.int_or("past_present_share_buffer", 0) != 0 ||
        init.has_input(6))
      return Error{Code::unsupported, "do_rotary and past_present_share_buffer are not here"};
    const Tensor* w = init.constant(1);
    if (w == nullptr || w->rank() != 2 || !is_float32_or_half(w->dtype()))
      return Error{Code::unsupported, "weights that are not a constant float matrix"};
    Options o{static_cast<size_t>(heads), node.float_or("scale", 0),
              node.float_or("mask_filter_value", -10000.0F), node.int_or("unidirectional", 0) != 0,
              node.ints_or("qkv_hidden_sizes", {})};
    if (o.sizes.empty()) o.sizes.assign(3, w->dim(1) / 3);
    if (o.sizes.size() != 3 || o.sizes[0] <= 0 || o.sizes[0] != o.sizes[1] || o.sizes[2] <= 0 ||
        o.sizes[0] % heads != 0 || o.sizes[2] % heads != 0 ||
        2 * o.sizes[0] + o.sizes[2] != w->dim(1))
      return Error{Code::invalid_input, "weights of shape " + to_string(w->shape()) +
                                            " do not split into Q, K and V of " +
                                            std::to_string(heads) + " heads"};
    OCTAVO_TRY(const Tensor floats, to_float32(*w, init.pool()));
    const auto n = static_cast<size_t>(w->dim(1));
    OCTAVO_TRY(PackedF32 packed, PackedF32::make(static_cast<size_t>(w->dim(0)), n,
                                                 floats.data<float>(), n, 1, init.pool()));
    init.drop(1);
    return make_op<FusedAttention>(std::move(o), std::move(packed));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor* bias = context.input(2);
    const Tensor* past = context.input(4);
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    if (x.rank() != 3 || static_cast<size_t>(x.dim(2)) != weights_.k())
      return Error{Code::invalid_input, "an input of shape " + to_string(x.shape())};
    if (bias != nullptr &&
        (bias->dtype() != x.dtype() || static_cast<size_t>(bias->size()) != weights_.n()))
      return Error{Code::invalid_input, "a bias of shape " + to_string(bias->shape())};
    const auto batch = static_cast<size_t>(x.dim(0));
    const auto tokens = static_cast<size_t>(x.dim(1));
    const size_t size = static_cast<size_t>(o_.sizes[0]) / o_.heads;
    const size_t value_size = static_cast<size_t>(o_.sizes[2]) / o_.heads;
    size_t before = 0;
    if (past != nullptr || context.wants(1)) {
      if (size != value_size)
        return Error{Code::unsupported, "a cache of keys and values of different size"};
    }
    if (past != nullptr) {
      const Shape expected = {2, x.dim(0), static_cast<int64_t>(o_.heads),
                              past->rank() == 5 ? past->dim(3) : 0, static_cast<int64_t>(size)};
      if (past->shape() != expected || past->dtype() != x.dtype())
        return Error{Code::invalid_input, "past of shape " + to_string(past->shape())};
      before = static_cast<size_t>(past->dim(3));
    }

    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_TRY(const float* pb,
               bias == nullptr ? Result<const float*>(nullptr) : as_floats(context, *bias));
    const size_t n = weights_.n();
    OCTAVO_TRY(const auto scratch, context.scratch(batch * tokens * n * sizeof(float)));
    auto* all = reinterpret_cast<float*>(scratch.data());
    multiply(context.kernels(), context.pool(), batch * tokens, n, weights_.k(), px, weights_.k(),
             weights_.data(), pb, all, n);

    const size_t keys = before + tokens;
    AttentionProblem p;
    p.batch = batch;
    p.heads = p.kv_heads = o_.heads;
    p.queries = tokens;
    p.keys = keys;
    p.head_size = size;
    p.value_size = value_size;
    p.q = {all, tokens * n, size, n};
    p.k = {all + o_.sizes[0], tokens * n, size, n};
    p.v = {all + 2 * o_.sizes[0], tokens * n, value_size, n};
    p.scale = o_.scale != 0 ? o_.scale : 1.0F / std::sqrt(static_cast<float>(size));
    OCTAVO_CHECK(present(context, p, past, before));
    OCTAVO_TRY(p.mask, mask_bias(context, context.input(3), batch, tokens, keys, o_.filter));
    OCTAVO_TRY(p.bias, score_bias(context, context.input(5), batch, o_.heads, tokens, keys));
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), {x.dim(0), x.dim(1), o_.sizes[2]}));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(attend(
        context, p,
        [&](size_t, size_t i) {
          return std::pair<size_t, size_t>{0, o_.causal ? std::min(keys, before + i + 1) : keys};
        },
        result.data()));
    result.finish(context.pool());
    return Done{};
  }

 private:
  // Keys, then values, by head, the past ones first.
  Status present(OpContext& context, AttentionProblem& p, const Tensor* past, size_t before) const {
    if (before == 0 && !context.wants(1)) return Done{};
    const float* old = nullptr;
    if (past != nullptr) {
      OCTAVO_TRY(old, as_floats(context, *past));
    }
    const size_t heads = p.batch * o_.heads;
    const size_t room = p.keys * p.head_size;
    float* to = nullptr;
    std::optional<FloatResult> result;
    if (context.wants(1)) {
      OCTAVO_TRY(Tensor * y,
                 context.output(1, context.required(0).dtype(),
                                {2, static_cast<int64_t>(p.batch), static_cast<int64_t>(o_.heads),
                                 static_cast<int64_t>(p.keys), static_cast<int64_t>(p.head_size)}));
      OCTAVO_TRY(FloatResult made, FloatResult::make(context, *y));
      result = made;
      to = made.data();
    } else {
      OCTAVO_TRY(const auto scratch, context.scratch(2 * heads * room * sizeof(float)));
      to = reinterpret_cast<float*>(scratch.data());
    }
    context.pool().parallel_for(2 * heads, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const HeadView& fresh = i < heads ? p.k : p.v;
        const size_t h = i % heads;
        float* head = to + i * room;
        if (before > 0) std::copy_n(old + i * before * p.head_size, before * p.head_size, head);
        for (size_t t = 0; t < p.queries; ++t)
          std::copy_n(fresh.at(h / o_.heads, h % o_.heads, t), p.head_size,
                      head + (before + t) * p.head_size);
      }
    });
    if (result) result->finish(context.pool());
    p.k = by_head(to, p.keys, o_.heads, p.head_size);
    p.v = by_head(to + heads * room, p.keys, o_.heads, p.head_size);
    return Done{};
  }

  Options o_;
  PackedF32 weights_;
};

}  // namespace

void register_fused_attention(Registry& registry) {
  registry.add({.op_type = "Attention",
                .through = 1,
                .min_inputs = 2,
                .max_inputs = 7,
                .max_outputs = 2,
                .make = FusedAttention::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
