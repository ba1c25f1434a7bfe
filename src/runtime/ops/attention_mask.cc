#include "runtime/ops/attention_mask.h"

#include <algorithm>
#include <string>

#include "runtime/ops/half_as_float.h"

namespace octavo::ops {

Result<ScoreBias> mask_bias(OpContext& context, const Tensor* mask, size_t batch, size_t queries,
                            size_t keys, float filter) {
  if (mask == nullptr) return ScoreBias{};
  const auto unfit = [&] {
    return Error{Code::unsupported, "a mask of type " + std::string(dtype_name(mask->dtype())) +
                                        " and shape " + to_string(mask->shape())};
  };
  if (mask->dtype() != DType::i32) return unfit();
  const Shape& shape = mask->shape();
  const auto b = static_cast<int64_t>(batch);
  const auto q = static_cast<int64_t>(queries);
  const auto k = static_cast<int64_t>(keys);
  const bool ends = shape == Shape{b};
  const bool ranges = shape == Shape{2 * b};
  const bool by_query = shape == Shape{b, q, k};
  if (!ends && !ranges && !by_query && shape != Shape{b, k}) return unfit();

  const size_t rows = by_query ? batch * queries : batch;
  OCTAVO_TRY(const auto scratch, context.scratch(rows * keys * sizeof(float)));
  auto* added = reinterpret_cast<float*>(scratch.data());
  const auto* values = mask->data<int32_t>();
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < keys; ++i) {
      bool kept = false;
      if (ends || ranges) {
        const auto at = static_cast<int64_t>(i);
        kept = at < values[r] && (!ranges || at >= values[r + batch]);
      } else {
        kept = values[r * keys + i] > 0;
      }
      added[r * keys + i] = kept ? 0.0F : filter;
    }
  }
  return ScoreBias{added, by_query ? queries * keys : keys, 0, by_query ? keys : 0};
}

Result<ScoreBias> score_bias(OpContext& context, const Tensor* bias, size_t batch, size_t heads,
                             size_t queries, size_t keys) {
  if (bias == nullptr) return ScoreBias{};
  const auto unfit = [&] {
    return Error{Code::invalid_input,
                 "attention_bias of type " + std::string(dtype_name(bias->dtype())) +
                     " and shape " + to_string(bias->shape()) + " for " + std::to_string(queries) +
                     " queries and " + std::to_string(keys) + " keys"};
  };
  if (!is_float32_or_half(bias->dtype()) || bias->rank() != 4) return unfit();
  const auto dim = [&](size_t i) { return static_cast<size_t>(bias->dim(i)); };
  if ((dim(0) != 1 && dim(0) != batch) || (dim(1) != 1 && dim(1) != heads) || dim(2) != queries ||
      dim(3) != keys)
    return unfit();
  OCTAVO_TRY(const float* data, as_floats(context, *bias));
  const size_t square = queries * keys;
  return ScoreBias{data, dim(0) == 1 ? 0 : dim(1) * square, dim(1) == 1 ? 0 : square, keys};
}

}  // namespace octavo::ops
