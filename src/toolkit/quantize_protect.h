#pragma once
// The search of QuantizeOptions::search: sites out of a graph, texts out of a calibration file, and
// a judge made of quantize_dynamic and the engine.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "octavo/quantize.h"
#include "passes/quantize_dynamic.h"

namespace octavo {

inline constexpr const char* kJudgedBySeen =
    "which products get 16-bit activations was judged by the only calibration text, which the "
    "rounding of the weights has seen as well: with two or more it is judged by others";

enum class TextShare : uint8_t { statistics, judgement, all };

struct SharedTexts {
  std::vector<std::vector<int64_t>> ids;
  size_t total = 0;    // calibration texts there are
  bool whole = false;  // of the only text there is: it is in both halves
};
// Calibration texts as token ids: every second one for those that statistics see, the others for
// those that a search judges by. folder: with the tokenizer; calibration: a file, empty: the
// built-in texts. Errors: those of reading; invalid_input when there is none.
Result<SharedTexts> share_of_texts(const std::filesystem::path& folder,
                                   const std::filesystem::path& calibration, size_t max_length,
                                   TextShare share);

// model: FP32, functions inlined; rounded: the same, or with its weights rounded already. how:
// everything but `protect` as it will be; what `protect` takes anyway stays taken. Errors:
// invalid_input when nothing would be quantized; unsupported when the engine cannot run the graph.
Result<ProtectReport> search_protection(const Model& model, const Model& rounded,
                                        const std::filesystem::path& file,
                                        const QuantizeDynamicOptions& how,
                                        const ProtectSearch& search, const Progress& progress);

}  // namespace octavo
