#pragma once
// EncoderSpec <-> JSON, for the packed file.

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "runtime/fused/spec.h"

namespace octavo {

nlohmann::json spec_to_json(const fused::EncoderSpec& spec);
// Errors: invalid_input, naming the key that is missing or of another type. Whether the numbers fit
// together is for FusedEncoder::create to say.
Result<fused::EncoderSpec> spec_from_json(const nlohmann::json& json);

}  // namespace octavo
