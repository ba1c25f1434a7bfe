#pragma once
// How large a model's files will be, before anything is made: for callers that choose by it.

#include <cstdint>
#include <filesystem>

#include "base/result.h"
#include "formats/onnx.h"

namespace octavo {

// Bytes that write_onnx() would write, both files together, without computing an initializer. To
// the byte, but for integers in typed fields that are still to be computed and turn out above 127:
// those take more. Errors: as write_onnx(), but for those of files.
Result<uint64_t> onnx_size(const Model& model, const std::filesystem::path& file,
                           const OnnxWriteOptions& options);

}  // namespace octavo
