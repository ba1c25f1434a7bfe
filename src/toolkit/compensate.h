#pragma once
// Error-compensated rounding (passes/compensated_rounding.h) of every weight that will be
// quantized, with second moments of what calibration texts put into it. A part of the layers at a
// time (runtime/streamed.h): memory does not grow with the model's depth, but for the rounded
// weights, a quarter of the float ones.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "passes/quantize_dynamic.h"

namespace octavo {

struct CompensateOptions {
  // Bytes of second moments that are kept at once, and of the weights of the layers that run then:
  // about so many of either. Those of one layer are more if need be.
  size_t memory = size_t{512} << 20;
};

// Replaces the float weights that quantize_dynamic(model, how) would quantize by numbers on the
// grid of their 8-bit form, so that it quantizes them without a further error. model: functions
// inlined. texts: token ids. Weights that several different inputs are multiplied with, or with
// more than two axes, stay as they are. Returns how many weights were rounded. Errors: those of
// running the model; invalid_input when an activation is no number.
Result<size_t> compensate(Model& model, const QuantizeDynamicOptions& how,
                          std::span<const std::vector<int64_t>> texts,
                          const CompensateOptions& options, const std::shared_ptr<ThreadPool>& pool,
                          const Progress& progress = {});

}  // namespace octavo
