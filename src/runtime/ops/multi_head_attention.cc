// MultiHeadAttention of com.microsoft. Query, key and value as three tensors [batch, tokens,
// hidden], packed together [batch, tokens, heads, 3, size], keys with values [batch, tokens, heads,
// 2, size], or keys and values by head [batch, heads, tokens, size]; a bias over all three; past
// keys and values that come before the new ones. Not: beam search (cache_indirection), shared
// buffers, the qk output.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "runtime/ops/attention.h"
#include "runtime/ops/attention_mask.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

// What the inputs turned out to be.
struct Sides {
  size_t batch = 0;
  size_t queries = 0;
  size_t new_keys = 0;
  size_t size = 0;        // of a head of Q and K
  size_t value_size = 0;  // of a head of V
  HeadView q, k, v;
};

Error misfit(const char* name, const Tensor& t) {
  return Error{Code::invalid_input,
               std::string("the ") + name + " has the shape " + to_string(t.shape())};
}

class MultiHeadAttention final : public Op {
 public:
  MultiHeadAttention(size_t heads, float scale, float filter, bool causal)
      : heads_(heads), scale_(scale), filter_(filter), causal_(causal) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    const int64_t heads = node.int_or("num_heads", 0);
    if (heads <= 0 || heads > 65536)
      return Error{Code::invalid_input, "num_heads " + std::to_string(heads)};
    if (init.has_input(8) || init.has_input(9))
      return Error{Code::unsupported, "past_sequence_length and cache_indirection are not here"};
    if (init.has_output(3)) return Error{Code::unsupported, "the output qk is not here"};
    return make_op<MultiHeadAttention>(static_cast<size_t>(heads), node.float_or("scale", 0),
                                       node.float_or("mask_filter_value", -10000.0F),
                                       node.int_or("unidirectional", 0) != 0);
  }

  Status run(OpContext& context) const override {
    const Tensor& query = context.required(0);
    if (!is_float32_or_half(query.dtype())) return unsupported_dtype(query.dtype());
    for (const size_t i : {size_t{1}, size_t{2}, size_t{3}, size_t{6}, size_t{7}}) {
      if (context.input(i) != nullptr) OCTAVO_CHECK(same_dtype(query, *context.input(i)));
    }
    OCTAVO_TRY(Sides s, sides_of(context));
    if (context.input(3) != nullptr) OCTAVO_CHECK(add_bias(context, s));
    size_t past = 0;
    OCTAVO_CHECK(prepend_past(context, s, past));
    const size_t keys = past + s.new_keys;

    AttentionProblem p;
    p.batch = s.batch;
    p.heads = p.kv_heads = heads_;
    p.queries = s.queries;
    p.keys = keys;
    p.head_size = s.size;
    p.value_size = s.value_size;
    p.q = s.q;
    p.k = s.k;
    p.v = s.v;
    p.scale = scale_ != 0 ? scale_ : 1.0F / std::sqrt(static_cast<float>(s.size));
    OCTAVO_TRY(p.mask, mask_bias(context, context.input(4), s.batch, s.queries, keys, filter_));
    OCTAVO_TRY(p.bias, score_bias(context, context.input(5), s.batch, heads_, s.queries, keys));
    OCTAVO_TRY(Tensor * y,
               context.output(0, query.dtype(),
                              {static_cast<int64_t>(s.batch), static_cast<int64_t>(s.queries),
                               static_cast<int64_t>(heads_ * s.value_size)}));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(attend(
        context, p,
        [&](size_t, size_t i) {
          return std::pair<size_t, size_t>{0, causal_ ? std::min(keys, past + i + 1) : keys};
        },
        result.data()));
    result.finish(context.pool());
    return Done{};
  }

 private:
  Result<Sides> sides_of(OpContext& context) const {
    const Tensor& query = context.required(0);
    const Tensor* key = context.input(1);
    const Tensor* value = context.input(2);
    Sides s;
    if (query.rank() != 3 && query.rank() != 5) return misfit("query", query);
    s.batch = static_cast<size_t>(query.dim(0));
    s.queries = static_cast<size_t>(query.dim(1));
    OCTAVO_TRY(const float* q, as_floats(context, query));
    if (query.rank() == 5) {
      if (key != nullptr || value != nullptr || static_cast<size_t>(query.dim(2)) != heads_ ||
          query.dim(3) != 3)
        return misfit("packed query", query);
      s.size = s.value_size = static_cast<size_t>(query.dim(4));
      s.new_keys = s.queries;
      const HeadView all{q, s.queries * heads_ * 3 * s.size, 3 * s.size, heads_ * 3 * s.size};
      s.q = s.k = s.v = all;
      s.k.data += s.size;
      s.v.data += 2 * s.size;
      return s;
    }
    if (query.dim(2) % static_cast<int64_t>(heads_) != 0) return misfit("query", query);
    s.size = static_cast<size_t>(query.dim(2)) / heads_;
    s.q = by_token(q, s.queries, heads_, s.size);
    if (key == nullptr) return Error{Code::invalid_input, "a query without a key"};
    if (key->rank() < 3 || key->rank() > 5 || key->dim(0) != query.dim(0))
      return misfit("key", *key);
    OCTAVO_TRY(const float* k, as_floats(context, *key));
    if (key->rank() == 5) {
      s.new_keys = static_cast<size_t>(key->dim(1));
      if (value != nullptr || static_cast<size_t>(key->dim(2)) != heads_ || key->dim(3) != 2 ||
          static_cast<size_t>(key->dim(4)) != s.size)
        return misfit("packed key", *key);
      s.value_size = s.size;
      s.k = s.v = {k, s.new_keys * heads_ * 2 * s.size, 2 * s.size, heads_ * 2 * s.size};
      s.v.data += s.size;
      return s;
    }
    if (value == nullptr || value->rank() != key->rank() || value->dim(0) != key->dim(0))
      return Error{Code::invalid_input, "a value that does not fit the key"};
    OCTAVO_TRY(const float* v, as_floats(context, *value));
    if (key->rank() == 4) {
      s.new_keys = static_cast<size_t>(key->dim(2));
      s.value_size = static_cast<size_t>(value->dim(3));
      if (static_cast<size_t>(key->dim(1)) != heads_ || value->dim(1) != key->dim(1) ||
          value->dim(2) != key->dim(2) || static_cast<size_t>(key->dim(3)) != s.size)
        return misfit("key", *key);
      s.k = by_head(k, s.new_keys, heads_, s.size);
      s.v = by_head(v, s.new_keys, heads_, s.value_size);
      return s;
    }
    if (key->rank() != 3 || key->dim(2) != query.dim(2)) return misfit("key", *key);
    s.new_keys = static_cast<size_t>(key->dim(1));
    if (value->dim(1) != key->dim(1) || value->dim(2) % static_cast<int64_t>(heads_) != 0)
      return misfit("value", *value);
    s.value_size = static_cast<size_t>(value->dim(2)) / heads_;
    s.k = by_token(k, s.new_keys, heads_, s.size);
    s.v = by_token(v, s.new_keys, heads_, s.value_size);
    return s;
  }

  // Q, K and V with the bias added, in scratch memory.
  Status add_bias(OpContext& context, Sides& s) const {
    const Tensor& bias = *context.input(3);
    const size_t hidden = heads_ * s.size;
    const size_t value_hidden = heads_ * s.value_size;
    if (static_cast<size_t>(bias.size()) != 2 * hidden + value_hidden) return misfit("bias", bias);
    OCTAVO_TRY(const float* values, as_floats(context, bias));
    // Keys by head are those of another attention's cache, projected and biased already.
    const bool cached = context.input(1) != nullptr && context.input(1)->rank() == 4;
    OCTAVO_TRY(s.q, biased(context, s.q, s.batch, s.queries, s.size, values));
    if (cached) return Done{};
    OCTAVO_TRY(s.k, biased(context, s.k, s.batch, s.new_keys, s.size, values + hidden));
    OCTAVO_TRY(s.v, biased(context, s.v, s.batch, s.new_keys, s.value_size, values + 2 * hidden));
    return Done{};
  }

  Result<HeadView> biased(OpContext& context, const HeadView& from, size_t batch, size_t tokens,
                          size_t size, const float* bias) const {
    OCTAVO_TRY(const auto scratch, context.scratch(batch * tokens * heads_ * size * sizeof(float)));
    auto* to = reinterpret_cast<float*>(scratch.data());
    context.pool().parallel_for(batch * tokens, 16, [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) {
        for (size_t h = 0; h < heads_; ++h) {
          const float* x = from.at(r / tokens, h, r % tokens);
          float* y = to + (r * heads_ + h) * size;
          for (size_t d = 0; d < size; ++d) y[d] = x[d] + bias[h * size + d];
        }
      }
    });
    return by_token(to, tokens, heads_, size);
  }

  // Past keys and values before the new ones, into the present outputs where they are wanted.
  Status prepend_past(OpContext& context, Sides& s, size_t& past) const {
    const Tensor* past_key = context.input(6);
    const Tensor* past_value = context.input(7);
    if ((past_key == nullptr) != (past_value == nullptr))
      return Error{Code::invalid_input, "past_key without past_value, or the other way round"};
    if (past_key != nullptr) {
      if (past_key->rank() != 4 || past_value->rank() != 4) return misfit("past_key", *past_key);
      past = static_cast<size_t>(past_key->dim(2));
      const auto expected = [&](size_t size) {
        return Shape{static_cast<int64_t>(s.batch), static_cast<int64_t>(heads_),
                     static_cast<int64_t>(past), static_cast<int64_t>(size)};
      };
      if (past_key->shape() != expected(s.size)) return misfit("past_key", *past_key);
      if (past_value->shape() != expected(s.value_size)) return misfit("past_value", *past_value);
    }
    OCTAVO_TRY(s.k, present(context, 1, past_key, past, s.k, s, s.size));
    OCTAVO_TRY(s.v, present(context, 2, past_value, past, s.v, s, s.value_size));
    return Done{};
  }

  Result<HeadView> present(OpContext& context, size_t output, const Tensor* past_tensor,
                           size_t past, const HeadView& fresh, const Sides& s, size_t size) const {
    if (past == 0 && !context.wants(output)) return fresh;
    const size_t tokens = past + s.new_keys;
    const float* old = nullptr;
    if (past_tensor != nullptr) {
      OCTAVO_TRY(old, as_floats(context, *past_tensor));
    }
    float* to = nullptr;
    std::optional<FloatResult> result;
    if (context.wants(output)) {
      OCTAVO_TRY(Tensor * y,
                 context.output(output, context.required(0).dtype(),
                                {static_cast<int64_t>(s.batch), static_cast<int64_t>(heads_),
                                 static_cast<int64_t>(tokens), static_cast<int64_t>(size)}));
      OCTAVO_TRY(FloatResult made, FloatResult::make(context, *y));
      result = made;
      to = made.data();
    } else {
      OCTAVO_TRY(const auto scratch,
                 context.scratch(s.batch * heads_ * tokens * size * sizeof(float)));
      to = reinterpret_cast<float*>(scratch.data());
    }
    context.pool().parallel_for(s.batch * heads_, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        float* head = to + i * tokens * size;
        if (past > 0) std::copy_n(old + i * past * size, past * size, head);
        for (size_t t = 0; t < s.new_keys; ++t)
          std::copy_n(fresh.at(i / heads_, i % heads_, t), size, head + (past + t) * size);
      }
    });
    if (result) result->finish(context.pool());
    return by_head(to, tokens, heads_, size);
  }

  size_t heads_;
  float scale_;
  float filter_;
  bool causal_;
};

}  // namespace

void register_multi_head_attention(Registry& registry) {
  registry.add({.op_type = "MultiHeadAttention",
                .through = 1,
                .min_inputs = 1,
                .max_inputs = 10,
                .max_outputs = 4,
                .make = MultiHeadAttention::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
