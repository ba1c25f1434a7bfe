#pragma once
// The form of the embedding table that loses least among those with which a model fits a size. The
// table is what can be stored in fewer bytes without another product changing: half of a small
// model.

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/thread_pool.h"
#include "octavo/quantize.h"
#include "passes/quantize_dynamic.h"

namespace octavo {

// model: not quantized yet, and not changed; how: as it will be quantized. Nothing is computed but
// the table in float16, which not every table fits. beside: bytes of the files that count as well.
// Sizes are those of the tensors and an estimate of the rest. Errors: invalid_input when no form
// fits, with what they would take; those of quantize_dynamic().
Result<SizeChoice> choose_size(const Model& model, const QuantizeDynamicOptions& how,
                               uint64_t limit, uint64_t beside,
                               const std::shared_ptr<ThreadPool>& pool);

// "649,123,456".
std::string grouped_digits(uint64_t number);

}  // namespace octavo
