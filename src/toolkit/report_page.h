#pragma once
// report.html of a model folder: a rendering of report.json in one file without scripts or anything
// from elsewhere, for screen (light and dark) and paper.

#include <nlohmann/json.hpp>
#include <string>

namespace octavo {

// Precondition: a document of make_report().
std::string report_page(const nlohmann::json& report);

}  // namespace octavo
