// SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft: input + skip (+
// bias), normalised over the last dimension; the sum is an optional output.
// EmbedLayerNormalization: the sum of the word, position and segment embeddings, normalised.

#include <algorithm>
#include <array>
#include <string>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

namespace {

constexpr size_t kGrain = 8192;

// A vector of the hidden size, or null when the input is absent.
Result<const float*> vector_of(OpContext& context, size_t index, size_t hidden) {
  const Tensor* t = context.input(index);
  if (t == nullptr) return static_cast<const float*>(nullptr);
  if (!is_float32_or_half(t->dtype())) return unsupported_dtype(t->dtype());
  if (static_cast<size_t>(t->size()) != hidden)
    return Error{Code::invalid_input, "input " + std::to_string(index) + " has the shape " +
                                          to_string(t->shape()) + ", expected [" +
                                          std::to_string(hidden) + "]"};
  return as_floats(context, *t);
}

class SkipLayerNormalization final : public Op {
 public:
  SkipLayerNormalization(bool simplified, float epsilon)
      : simplified_(simplified), epsilon_(epsilon) {}

  template <bool kSimplified>
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    if (init.has_output(1) || init.has_output(2))
      return Error{Code::unsupported,
                   "the outputs mean and inv_std_var (of training) are not here"};
    return make_op<SkipLayerNormalization>(kSimplified, init.node().float_or("epsilon", 1e-12F));
  }

  Status run(OpContext& context) const override {
    const Tensor& x = context.required(0);
    const Tensor& skip = context.required(1);
    if (!is_float32_or_half(x.dtype())) return unsupported_dtype(x.dtype());
    OCTAVO_CHECK(same_dtype(x, skip));
    if (x.rank() != 2 && x.rank() != 3)
      return Error{Code::invalid_input, "an input of shape " + to_string(x.shape())};
    const auto n = static_cast<size_t>(x.shape().back());
    // [1, sequence, hidden] or [sequence, hidden] is added to every element of the batch.
    const Shape one(x.shape().begin() + 1, x.shape().end());
    Shape tail = skip.shape();
    if (tail.size() == 3 && tail[0] == 1) tail.erase(tail.begin());
    if (skip.shape() != x.shape() && tail != one)
      return Error{Code::invalid_input, "a skip of shape " + to_string(skip.shape()) +
                                            " for an input of " + to_string(x.shape())};
    OCTAVO_TRY(const float* gain, vector_of(context, 2, n));
    OCTAVO_TRY(const float* beta,
               simplified_ ? Result<const float*>(nullptr) : vector_of(context, 3, n));
    OCTAVO_TRY(const float* bias, vector_of(context, simplified_ ? 3 : 4, n));
    OCTAVO_TRY(const float* px, as_floats(context, x));
    OCTAVO_TRY(const float* pk, as_floats(context, skip));

    Tensor* sum = nullptr;
    if (context.wants(3)) {
      OCTAVO_TRY(sum, context.output(3, x.dtype(), x.shape()));
    }
    OCTAVO_TRY(Tensor * y, context.output(0, x.dtype(), x.shape()));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    float* py = result.data();
    float* sums = py;
    FloatResult sum_result = result;
    if (sum != nullptr) {
      OCTAVO_TRY(sum_result, FloatResult::make(context, *sum));
      sums = sum_result.data();
    }
    const size_t rows = n == 0 ? 0 : static_cast<size_t>(x.size()) / n;
    const size_t skip_rows = n == 0 ? 1 : std::max<size_t>(static_cast<size_t>(skip.size()) / n, 1);
    const kernels::Table& table = context.kernels();
    context.pool().parallel_for(
        rows, std::max<size_t>(1, kGrain / std::max<size_t>(n, 1)), [&](size_t begin, size_t end) {
          for (size_t r = begin; r < end; ++r) {
            const float* a = px + r * n;
            const float* b = pk + r % skip_rows * n;
            float* to = sums + r * n;
            if (bias == nullptr) {
              for (size_t i = 0; i < n; ++i) to[i] = a[i] + b[i];
            } else {
              for (size_t i = 0; i < n; ++i) to[i] = a[i] + b[i] + bias[i];
            }
            if (simplified_) {
              table.rms_norm_f32(1, n, to, gain, epsilon_, py + r * n);
            } else {
              table.layer_norm_f32(1, n, to, gain, beta, epsilon_, py + r * n);
            }
          }
        });
    if (sum != nullptr) sum_result.finish(context.pool());
    result.finish(context.pool());
    return Done{};
  }

 private:
  bool simplified_;
  float epsilon_;
};

class EmbedLayerNormalization final : public Op {
 public:
  EmbedLayerNormalization(float epsilon, bool mask_index)
      : epsilon_(epsilon), mask_index_(mask_index) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    const Node& node = init.node();
    for (const size_t i : {size_t{2}, size_t{3}, size_t{5}, size_t{6}}) {
      if (!init.has_input(i))
        return Error{Code::invalid_input, "input " + std::to_string(i) + " is missing"};
    }
    return make_op<EmbedLayerNormalization>(node.float_or("epsilon", 1e-12F),
                                            node.int_or("mask_index_type", 1) != 0);
  }

  // ids, segments?, words, positions, segment embedding?, gamma, beta, mask?, position ids?
  Status run(OpContext& context) const override {
    const Tensor& ids = context.required(0);
    const Tensor* segments = context.input(1);
    const Tensor& words = context.required(2);
    const Tensor& places = context.required(3);
    const Tensor* segment_table = context.input(4);
    const Tensor* position_ids = context.input(8);
    if (ids.rank() != 2 || ids.dtype() != DType::i32)
      return Error{Code::invalid_input, "input_ids are not int32 [batch, sequence]"};
    if (segments != nullptr && (segment_table == nullptr || segments->shape() != ids.shape() ||
                                segments->dtype() != DType::i32))
      return Error{Code::invalid_input, "segment_ids do not fit the input_ids"};
    for (const Tensor* t : {&words, &places, segments == nullptr ? &words : segment_table}) {
      if (t->rank() != 2 || t->dim(1) != words.dim(1) || !is_float32_or_half(t->dtype()))
        return Error{Code::invalid_input, "an embedding of shape " + to_string(t->shape())};
    }
    const auto batch = static_cast<size_t>(ids.dim(0));
    const auto tokens = static_cast<size_t>(ids.dim(1));
    const auto n = static_cast<size_t>(words.dim(1));
    if (position_ids != nullptr &&
        (position_ids->dtype() != DType::i32 || position_ids->rank() != 2 ||
         position_ids->dim(1) != ids.dim(1) ||
         (position_ids->dim(0) != 1 && position_ids->dim(0) != ids.dim(0))))
      return Error{Code::invalid_input, "position_ids do not fit the input_ids"};
    OCTAVO_TRY(const float* gamma, vector_of(context, 5, n));
    OCTAVO_TRY(const float* beta, vector_of(context, 6, n));
    OCTAVO_TRY(const float* pw, as_floats(context, words));
    OCTAVO_TRY(const float* pp, as_floats(context, places));
    OCTAVO_TRY(const float* pg, segments == nullptr ? Result<const float*>(nullptr)
                                                    : as_floats(context, *segment_table));
    const Shape shape = {ids.dim(0), ids.dim(1), words.dim(1)};
    OCTAVO_TRY(Tensor * y, context.output(0, words.dtype(), shape));
    OCTAVO_TRY(FloatResult result, FloatResult::make(context, *y));
    OCTAVO_CHECK(lengths(context, batch, tokens));
    float* py = result.data();
    const auto row = [&](const Tensor& table, int64_t index) -> Result<size_t> {
      if (index < 0 || index >= table.dim(0))
        return Error{Code::invalid_input, "index " + std::to_string(index) +
                                              " is outside an embedding of " +
                                              std::to_string(table.dim(0)) + " rows"};
      return static_cast<size_t>(index) * n;
    };
    for (size_t i = 0; i < batch * tokens; ++i) {
      const size_t t = i % tokens;
      const int64_t place = position_ids == nullptr
                                ? static_cast<int64_t>(t)
                                : position_ids->data<int32_t>()[position_ids->dim(0) == 1 ? t : i];
      OCTAVO_TRY(const size_t w, row(words, ids.data<int32_t>()[i]));
      OCTAVO_TRY(const size_t p, row(places, place));
      float* to = py + i * n;
      for (size_t j = 0; j < n; ++j) to[j] = pw[w + j] + pp[p + j];
      if (segments == nullptr) continue;
      OCTAVO_TRY(const size_t s, row(*segment_table, segments->data<int32_t>()[i]));
      for (size_t j = 0; j < n; ++j) to[j] += pg[s + j];
    }
    if (context.wants(2)) {
      OCTAVO_TRY(Tensor * sum, context.output(2, words.dtype(), shape));
      OCTAVO_TRY(FloatResult sums, FloatResult::make(context, *sum));
      std::copy_n(py, batch * tokens * n, sums.data());
      sums.finish(context.pool());
    }
    const kernels::Table& table = context.kernels();
    context.pool().parallel_for(batch * tokens,
                                std::max<size_t>(1, kGrain / std::max<size_t>(n, 1)),
                                [&](size_t begin, size_t end) {
                                  table.layer_norm_f32(end - begin, n, py + begin * n, gamma, beta,
                                                       epsilon_, py + begin * n);
                                });
    result.finish(context.pool());
    return Done{};
  }

 private:
  // mask_index: how many tokens the mask keeps, per text; zeros without a mask.
  Status lengths(OpContext& context, size_t batch, size_t tokens) const {
    if (!context.wants(1)) return Done{};
    const Tensor* mask = context.input(7);
    OCTAVO_TRY(Tensor * index, context.output(1, DType::i32, {static_cast<int64_t>(batch)}));
    if (mask != nullptr &&
        (mask->dtype() != DType::i32 ||
         mask->shape() != Shape{static_cast<int64_t>(batch), static_cast<int64_t>(tokens)}))
      return Error{Code::invalid_input, "the mask does not fit the input_ids"};
    for (size_t b = 0; b < batch; ++b) {
      int32_t kept = 0;
      for (size_t t = 0; mask != nullptr && mask_index_ && t < tokens; ++t)
        kept += mask->data<int32_t>()[b * tokens + t] == 1 ? 1 : 0;
      index->mutable_data<int32_t>()[b] = kept;
    }
    return Done{};
  }

  float epsilon_;
  bool mask_index_;
};

}  // namespace

void register_skip_layer_normalization(Registry& registry) {
  registry.add({.op_type = "SkipLayerNormalization",
                .through = 1,
                .min_inputs = 3,
                .max_inputs = 5,
                .max_outputs = 4,
                .make = SkipLayerNormalization::make<false>,
                .domain = "com.microsoft"});
  registry.add({.op_type = "SkipSimplifiedLayerNormalization",
                .through = 1,
                .min_inputs = 3,
                .max_inputs = 4,
                .max_outputs = 4,
                .make = SkipLayerNormalization::make<true>,
                .domain = "com.microsoft"});
  registry.add({.op_type = "EmbedLayerNormalization",
                .through = 1,
                .min_inputs = 1,
                .max_inputs = 9,
                .max_outputs = 3,
                .make = EmbedLayerNormalization::make,
                .domain = "com.microsoft"});
}

}  // namespace octavo::ops
