#pragma once
// Which files a written model may replace. Tensors are read from the input's files while the output
// is written, and a sidecar belongs to the models that name it: replacing the sidecar of the input
// takes the input's weights away, unless the input itself is what is being replaced.

#include <filesystem>
#include <optional>

#include "base/result.h"
#include "formats/onnx.h"

namespace octavo {

// Where the sidecar of `file` goes. Errors: invalid_input when the location is no plain file name,
// or the model's own.
Result<std::filesystem::path> sidecar_path(const std::filesystem::path& file,
                                           const OnnxWriteOptions& options);

// Errors: invalid_input when `target`, which would be written for the model `file`, is one of
// options.sources and must not go.
Status check_replaceable(const std::filesystem::path& target, const std::filesystem::path& file,
                         const OnnxWriteOptions& options);

// The sidecar beside `file` that only the model there now has a use for: nobody's once that model
// is replaced by one without a sidecar.
std::optional<std::filesystem::path> left_over_sidecar(const std::filesystem::path& file,
                                                       const OnnxWriteOptions& options);

}  // namespace octavo
