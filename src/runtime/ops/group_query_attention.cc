// GroupQueryAttention of com.microsoft: causal attention in which groups of query heads share a key
// head, with a cache. Q, K, V as three tensors [batch, tokens, hidden] or side by side in one.
// Texts are padded on the right: text b has seqlens_k[b] + 1 tokens, past ones included. When every
// token is new (tokens == total_sequence_length) nothing of the cache is read. Not: quantized or
// windowed caches, smooth softmax, head sinks, q/k norms, the qk output.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/ops/attention.h"
#include "runtime/ops/attention_mask.h"
#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"
#include "runtime/ops/rotary.h"

namespace octavo::ops {

namespace {

struct Options {
  size_t heads;
  size_t kv_heads;
  float scale;
  float softcap;
  int64_t window;  // -1: none; how many keys a query sees, itself included
  bool rotary;
  bool interleaved;
  bool causal;
};

struct Sizes {
  size_t batch = 0;
  size_t tokens = 0;
  size_t size = 0;                  // of a head
  size_t total = 0;                 // total_sequence_length
  size_t past = 0;                  // tokens that the past tensors have room for
  size_t present = 0;               // the same of the present ones
  bool prompt = false;              // every token is new
  std::vector<size_t> length;       // of each text, past included
  std::vector<size_t> past_length;  // tokens of each text that come from the past
};

class GroupQueryAttention final : public Op {
 public:
  explicit GroupQueryAttention(const Options& options) : o_(options) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    const int64_t heads = node.int_or("num_heads", 0);
    const int64_t kv_heads = node.int_or("kv_num_heads", 0);
    if (heads <= 0 || kv_heads <= 0 || heads > 65536 || heads % kv_heads != 0)
      return Error{Code::invalid_input, "num_heads " + std::to_string(heads) +
                                            " with kv_num_heads " + std::to_string(kv_heads)};
    for (const size_t i :
         {size_t{11}, size_t{12}, size_t{13}, size_t{14}, size_t{15}, size_t{16}}) {
      if (init.has_input(i))
        return Error{Code::unsupported,
                     "input " + std::to_string(i) +
                         " (head_sink, quantized cache, q/k norm or query_seqlens) is not here"};
    }
    if (node.int_or("smooth_softmax", 0) > 0 || node.int_or("qk_output", 0) != 0 ||
        node.int_or("sliding_window_cache", 0) != 0 ||
        node.string_or("k_quant_type", "NONE") != "NONE" ||
        node.string_or("v_quant_type", "NONE") != "NONE")
      return Error{Code::unsupported,
                   "smooth_softmax, qk_output, sliding_window_cache and quantized caches are not "
                   "here"};
    Options o{static_cast<size_t>(heads),
              static_cast<size_t>(kv_heads),
              node.float_or("scale", 0),
              node.float_or("softcap", 0),
              node.int_or("local_window_size", -1),
              node.int_or("do_rotary", 0) != 0,
              node.int_or("rotary_interleaved", 0) != 0,
              node.int_or("causal", 1) != 0};
    if (o.rotary && (!init.has_input(7) || !init.has_input(8)))
      return Error{Code::invalid_input, "do_rotary without cos_cache and sin_cache"};
    return make_op<GroupQueryAttention>(o);
  }

  Status run(OpContext& context) const override {
    const Tensor& query = context.required(0);
    if (!is_float32_or_half(query.dtype())) return unsupported_dtype(query.dtype());
    OCTAVO_TRY(Sizes s, sizes_of(context));
    HeadView q;
    HeadView k;
    HeadView v;
    OCTAVO_CHECK(views(context, s, q, k, v));
    if (o_.rotary) OCTAVO_CHECK(rotate(context, s, q, k));
    OCTAVO_TRY(k, present(context, s, 3, 1, k));
    OCTAVO_TRY(v, present(context, s, 4, 2, v));

    AttentionProblem p;
    p.batch = s.batch;
    p.heads = o_.heads;
    p.kv_heads = o_.kv_heads;
    p.queries = s.tokens;
    p.keys = s.total;
    p.head_size = p.value_size = s.size;
    p.q = q;
    p.k = k;
    p.v = v;
    p.scale = o_.scale != 0 ? o_.scale : 1.0F / std::sqrt(static_cast<float>(s.size));
    p.softcap = o_.softcap;
    OCTAVO_TRY(p.bias,
               score_bias(context, context.input(10), s.batch, o_.heads, s.tokens, s.total));
    OCTAVO_TRY(Tensor * y, context.output(0, query.dtype(),
                                          {query.dim(0), query.dim(1),
                                           static_cast<int64_t>(o_.heads * s.size)}));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(attend(
        context, p,
        [&](size_t b, size_t i) {
          const size_t length = s.length[b];
          if (!o_.causal) return std::pair<size_t, size_t>{0, length};
          // Padding (only ever on the right) sees what the last token sees.
          const size_t end = std::min(length, s.past_length[b] + i + 1);
          const size_t window = o_.window < 0 ? end : static_cast<size_t>(o_.window);
          return std::pair<size_t, size_t>{end > window ? end - window : 0, end};
        },
        result.data()));
    result.finish(context.pool());
    return Done{};
  }

 private:
  Result<Sizes> sizes_of(OpContext& context) const {
    const Tensor& query = context.required(0);
    const Tensor* past = context.input(3);
    const Tensor& lengths = context.required(5);
    const Tensor& total = context.required(6);
    Sizes s;
    if (query.rank() != 3)
      return Error{Code::invalid_input, "a query of shape " + to_string(query.shape())};
    s.batch = static_cast<size_t>(query.dim(0));
    s.tokens = static_cast<size_t>(query.dim(1));
    const bool packed = context.input(1) == nullptr;
    const size_t all_heads = packed ? o_.heads + 2 * o_.kv_heads : o_.heads;
    s.size = static_cast<size_t>(query.dim(2)) / all_heads;
    if (s.size == 0 || static_cast<size_t>(query.dim(2)) != s.size * all_heads)
      return Error{Code::invalid_input, "a query of shape " + to_string(query.shape()) + " for " +
                                            std::to_string(all_heads) + " heads"};
    if (lengths.dtype() != DType::i32 || static_cast<size_t>(lengths.size()) != s.batch ||
        total.dtype() != DType::i32 || total.size() != 1)
      return Error{Code::invalid_input,
                   "seqlens_k is not int32 [batch], or total_sequence_length not one int32"};
    const int32_t whole = total.data<int32_t>()[0];
    if (whole < query.dim(1))
      return Error{Code::invalid_input, "total_sequence_length " + std::to_string(whole) + " for " +
                                            std::to_string(s.tokens) + " new tokens"};
    s.total = static_cast<size_t>(whole);
    s.prompt = s.total == s.tokens;
    if (past != nullptr) {
      if (past->rank() != 4 || past->dim(0) != query.dim(0) ||
          static_cast<size_t>(past->dim(1)) != o_.kv_heads ||
          static_cast<size_t>(past->dim(3)) != s.size || context.input(4) == nullptr ||
          context.input(4)->shape() != past->shape())
        return Error{Code::invalid_input, "past_key of shape " + to_string(past->shape())};
      s.past = static_cast<size_t>(past->dim(2));
    }
    s.present = std::max(s.past, s.total);
    for (size_t b = 0; b < s.batch; ++b) {
      const int64_t length = int64_t{lengths.data<int32_t>()[b]} + 1;
      const int64_t before = s.prompt ? 0 : length - static_cast<int64_t>(s.tokens);
      if (length < 1 || length > whole || before < 0 || before > static_cast<int64_t>(s.past))
        return Error{Code::invalid_input, "seqlens_k says " + std::to_string(length) +
                                              " tokens, of a total of " + std::to_string(whole) +
                                              ", " + std::to_string(s.tokens) + " new and " +
                                              std::to_string(s.past) + " past"};
      s.length.push_back(static_cast<size_t>(length));
      s.past_length.push_back(static_cast<size_t>(before));
    }
    return s;
  }

  Status views(OpContext& context, const Sizes& s, HeadView& q, HeadView& k, HeadView& v) const {
    const Tensor& query = context.required(0);
    const Tensor* key = context.input(1);
    const Tensor* value = context.input(2);
    OCTAVO_TRY(const float* pq, as_floats(context, query));
    if (key == nullptr) {
      if (value != nullptr) return Error{Code::invalid_input, "a value without a key"};
      q = by_token(pq, s.tokens, o_.heads + 2 * o_.kv_heads, s.size);
      k = v = q;
      k.data += o_.heads * s.size;
      v.data += (o_.heads + o_.kv_heads) * s.size;
      return Done{};
    }
    const Shape expected = {query.dim(0), query.dim(1), static_cast<int64_t>(o_.kv_heads * s.size)};
    if (value == nullptr || key->shape() != expected || value->shape() != expected ||
        key->dtype() != query.dtype() || value->dtype() != query.dtype())
      return Error{Code::invalid_input, "key and value are not " + to_string(expected)};
    OCTAVO_TRY(const float* pk, as_floats(context, *key));
    OCTAVO_TRY(const float* pv, as_floats(context, *value));
    q = by_token(pq, s.tokens, o_.heads, s.size);
    k = by_token(pk, s.tokens, o_.kv_heads, s.size);
    v = by_token(pv, s.tokens, o_.kv_heads, s.size);
    return Done{};
  }

  // Queries and new keys, turned by their positions, in scratch memory.
  Status rotate(OpContext& context, const Sizes& s, HeadView& q, HeadView& k) const {
    const Tensor& cos = context.required(7);
    const Tensor& sin = context.required(8);
    const Tensor* ids = context.input(9);
    if (cos.rank() != 2 || cos.shape() != sin.shape() ||
        static_cast<size_t>(cos.dim(1)) * 2 > s.size || !is_float32_or_half(cos.dtype()) ||
        sin.dtype() != cos.dtype())
      return Error{Code::invalid_input,
                   "caches of shape " + to_string(cos.shape()) + " and " + to_string(sin.shape())};
    if (ids != nullptr && (ids->dtype() != DType::i64 || ids->size() == 0 ||
                           (!s.prompt && static_cast<size_t>(ids->size()) != s.batch * s.tokens)))
      return Error{Code::invalid_input, "position_ids of shape " + to_string(ids->shape())};
    std::vector<size_t> rows(s.batch * s.tokens);
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t b = i / s.tokens;
      const auto t = static_cast<int64_t>(i % s.tokens);
      int64_t position = static_cast<int64_t>(s.past_length[b]) + t;
      // Of a prompt only the first is looked at, as onnxruntime does.
      if (ids != nullptr)
        position = s.prompt ? ids->data<int64_t>()[0] + t : ids->data<int64_t>()[i];
      if (position < 0 || position >= cos.dim(0))
        return Error{Code::invalid_input, "position " + std::to_string(position) +
                                              " is outside a cache of " +
                                              std::to_string(cos.dim(0))};
      rows[i] = static_cast<size_t>(position);
    }
    OCTAVO_TRY(const float* pc, as_floats(context, cos));
    OCTAVO_TRY(const float* ps, as_floats(context, sin));
    const auto half = static_cast<size_t>(cos.dim(1));
    const auto turn = [&](HeadView& view, size_t heads) -> Status {
      OCTAVO_TRY(const auto scratch, context.scratch(rows.size() * heads * s.size * sizeof(float)));
      auto* to = reinterpret_cast<float*>(scratch.data());
      context.pool().parallel_for(rows.size(), 8, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          for (size_t h = 0; h < heads; ++h) {
            rotate_head(view.at(i / s.tokens, h, i % s.tokens), s.size, half, pc + rows[i] * half,
                        ps + rows[i] * half, o_.interleaved, to + (i * heads + h) * s.size);
          }
        }
      });
      view = by_token(to, s.tokens, heads, s.size);
      return Done{};
    };
    OCTAVO_CHECK(turn(q, o_.heads));
    return turn(k, o_.kv_heads);
  }

  // Past and new rows of K or V by head, in the present output where it is wanted.
  Result<HeadView> present(OpContext& context, const Sizes& s, size_t input, size_t output,
                           const HeadView& fresh) const {
    const bool wanted = context.wants(output);
    if (!wanted && s.prompt) return fresh;
    const Tensor* past = context.input(input);
    const float* old = nullptr;
    if (past != nullptr) {
      OCTAVO_TRY(old, as_floats(context, *past));
    }
    const size_t room = s.present * s.size;
    float* to = nullptr;
    std::optional<FloatResult> result;
    if (wanted) {
      OCTAVO_TRY(Tensor * y,
                 context.output(output, context.required(0).dtype(),
                                {static_cast<int64_t>(s.batch), static_cast<int64_t>(o_.kv_heads),
                                 static_cast<int64_t>(s.present), static_cast<int64_t>(s.size)}));
      OCTAVO_TRY(FloatResult made, FloatResult::make(context, *y));
      result = made;
      to = made.data();
    } else {
      OCTAVO_TRY(const auto scratch, context.scratch(s.batch * o_.kv_heads * room * sizeof(float)));
      to = reinterpret_cast<float*>(scratch.data());
    }
    context.pool().parallel_for(s.batch * o_.kv_heads, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t b = i / o_.kv_heads;
        const size_t before = s.past_length[b] * s.size;
        float* head = to + i * room;
        if (before > 0) std::copy_n(old + i * s.past * s.size, before, head);
        for (size_t t = 0; t < s.tokens; ++t)
          std::copy_n(fresh.at(b, i % o_.kv_heads, t), s.size, head + before + t * s.size);
        std::fill(head + before + s.tokens * s.size, head + room, 0.0F);
      }
    });
    if (result) result->finish(context.pool());
    return by_head(to, s.present, o_.kv_heads, s.size);
  }

  Options o_;
};

}  // namespace

void register_group_query_attention(Registry& registry) {
  registry.add({.op_type = "GroupQueryAttention",
                .through = 1,
                .min_inputs = 1,
                .max_inputs = 17,
                .max_outputs = 4,
                .make = GroupQueryAttention::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
