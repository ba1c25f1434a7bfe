#pragma once
// One float32 weight -> its 8-bit form, the way onnxruntime.quantization computes it: for a range
// [low, high] widened to hold 0,
//   symmetric:   a = max(|low|, |high|), scale = 2a / (qmax - qmin), zero = 0
//   asymmetric:  scale = (high - low) / (qmax - qmin), zero = round(qmin - low / scale)
// in float64, the scale then rounded to float32; a range too small for a normal float32 scale
// (an all-zero channel) gets scale 1 and zero 0; q = clamp(round_half_even(w / scale) + zero) in
// float32. With `clip`, scale is the one of 0.80, 0.82 .. 1 times the above with the smallest
// squared error of the channel. Nothing is computed before somebody asks for the bytes.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"

namespace octavo {

struct WeightForm {
  bool is_signed = true;      // int8, symmetric; else uint8, asymmetric
  bool reduce_range = false;  // one bit less: [-64, 64] or [0, 127]
  bool per_channel = false;   // along the last axis
  bool clip = false;          // signed and per channel, all 8 bits
  bool operator==(const WeightForm&) const = default;
};

// Holds the tensor that was asked for last, so that a weight whose bytes are computed (transposed,
// smoothed) is computed once for its scales and its values.
class WeightCache;
std::shared_ptr<WeightCache> make_weight_cache();

struct QuantizedWeight {
  Initializer scale;        // float32, typed_fields; [channels] or a scalar
  Initializer zero_point;   // int8 or uint8, typed_fields
  Initializer values;       // the weight's shape
  Initializer column_sums;  // int32 [channels] of `values` over the last axis but one; per_channel
                            // or not. For weights of rank 2 or more
};

// Names are <name>_scale, <name>_zero_point, <name>_quantized, <name>_column_sums. The tensors are
// errors when the weight holds a NaN or an infinity. Preconditions: float32, at least one element;
// per_channel needs rank 2 or more.
QuantizedWeight quantize_weight(const Initializer& weight, const WeightForm& form,
                                const std::shared_ptr<ThreadPool>& pool,
                                const std::shared_ptr<WeightCache>& cache);

}  // namespace octavo
