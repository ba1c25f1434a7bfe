#pragma once
// README.md of a model folder: a rendering of report.json in Markdown, with the header that the
// Hugging Face hub reads.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace octavo {

std::string model_card(const nlohmann::json& report);

// Whether a README.md was written by model_card(), so that a rebuild may replace it.
Result<bool> is_model_card(const std::filesystem::path& file);

}  // namespace octavo
