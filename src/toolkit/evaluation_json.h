#pragma once
// An evaluation as JSON, for scripts and for report.json: what `octavo evaluate --json` prints.

#include <nlohmann/json.hpp>

#include "octavo/evaluate.h"

namespace octavo {

nlohmann::json evaluation_json(const EvaluateReport& report);

}  // namespace octavo
