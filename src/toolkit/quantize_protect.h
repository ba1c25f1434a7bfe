#pragma once
// The search of QuantizeOptions::search: sites out of a graph, texts out of a calibration file, and
// a judge made of quantize_dynamic and the engine.

#include <filesystem>

#include "base/progress.h"
#include "base/result.h"
#include "octavo/quantize.h"
#include "passes/quantize_dynamic.h"

namespace octavo {

// model: FP32, functions inlined. how: everything but `protect` as it will be; what `protect` takes
// anyway stays taken. Errors: invalid_input when nothing would be quantized; unsupported when the
// engine cannot run the graph.
Result<ProtectReport> search_protection(const Model& model, const std::filesystem::path& file,
                                        const QuantizeDynamicOptions& how,
                                        const ProtectSearch& search, const Progress& progress);

}  // namespace octavo
