#pragma once
// README.md of a model folder: a rendering of report.json in Markdown, with the header that the
// Hugging Face hub reads.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

// On a line of its own in every rendering of a report; invisible when rendered.
inline constexpr std::string_view kRenderingMarker =
    "<!-- Written by octavo build from report.json. -->";

std::string model_card(const nlohmann::json& report);

// Whether a README.md or report.html was written by a build, so that a rebuild may replace it.
Result<bool> is_rendering_of_build(const std::filesystem::path& file);

}  // namespace octavo
