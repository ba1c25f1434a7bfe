#pragma once
// Runs calibration texts through the executor, one by one and unpadded, and streams max |x| per
// channel of the watched values: memory does not grow with the number of texts.

#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "graph/graph.h"
#include "passes/calibration_stats.h"
#include "text/tokenizer.h"

namespace octavo {

// The built-in set: short and long texts in 20 languages and code, written for this project.
std::span<const std::string> default_calibration_texts();

// values: names in the graph whose last axis is the channel. Texts longer than max_length tokens
// are cut.
Result<CalibrationStats> calibrate(const Model& model, const Tokenizer& tokenizer,
                                   std::span<const std::string> texts,
                                   std::span<const std::string> values, size_t max_length,
                                   const Progress& progress = {});

}  // namespace octavo
