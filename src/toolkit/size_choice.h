#pragma once
// The form of the embedding table that loses least among those with which a model fits a size. The
// table is what can be stored in fewer bytes without another product changing: half of a small
// model.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "formats/onnx.h"
#include "octavo/quantize.h"
#include "passes/quantize_dynamic.h"

namespace octavo {

// onnx.save keeps tensors in the model file that take less than 1,024 bytes as a Python object,
// which has 33 bytes of its own.
inline constexpr size_t kOnnxSaveThreshold = 991;

// Where a quantized model is to be written, and what else counts.
struct SizePlan {
  std::filesystem::path output;
  OnnxWriteOptions writing;
  uint64_t limit = 0;   // of all bytes
  uint64_t beside = 0;  // of the files that count as well
};

// model: not quantized yet, and not changed; how: as it will be quantized. Nothing is computed but
// the table in float16, which not every table fits, and the rotation back. Sizes are what
// onnx_size() says: to the byte, unless what is chosen later (16 bits for some products) adds
// nodes, which makes the files larger, never smaller. Errors: invalid_input when no form fits, with
// what they would take; those of quantize_dynamic().
Result<SizeChoice> choose_size(const Model& model, const QuantizeDynamicOptions& how,
                               const SizePlan& plan, const std::shared_ptr<ThreadPool>& pool);

// "649,123,456".
std::string grouped_digits(uint64_t number);

}  // namespace octavo
