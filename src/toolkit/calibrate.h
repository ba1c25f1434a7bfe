#pragma once
// Runs calibration texts through the executor, one by one and unpadded, and keeps how large each
// channel of the watched values is. The result does not depend on the order of the texts, on the
// number of threads, or on how many parts the weights are taken in (runtime/streamed.h).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "passes/calibration_stats.h"
#include "runtime/streamed.h"
#include "text/tokenizer.h"

namespace octavo {

// The built-in set: short and long texts in many languages and code, written for this project.
std::span<const std::string> default_calibration_texts();

// Adds a warning where a model that is calibrated on that many texts would be worse than it can be.
void warn_of_few_texts(uint64_t texts, std::vector<std::string>& warnings);

// Token ids of every text, cut at max_length tokens; texts without any token are left out. Errors:
// no token at all.
Result<std::vector<std::vector<int64_t>>> tokenize_all(const Tokenizer& tokenizer,
                                                       std::span<const std::string> texts,
                                                       size_t max_length);

// The shape of every value that a node of the graph makes, in two runs that differ in batch and
// sequence length wherever the graph's inputs leave them open. `ids` are any valid token ids.
Result<ValueShapes> observe_shapes(const StreamedModel& model, std::span<const int64_t> ids);

// What is kept of a channel: its largest |x|, and its share or its energy in the tokens
// (CalibrationStats).
enum class Gathered : uint8_t { largest, largest_and_share, largest_and_energy };

// values: names in the graph whose last axis is the channel. Errors: invalid_input naming the value
// and text that gave NaN or infinity.
Result<CalibrationStats> calibrate(const StreamedModel& model,
                                   std::span<const std::vector<int64_t>> texts,
                                   std::span<const std::string> values,
                                   Gathered gathered = Gathered::largest,
                                   const Progress& progress = {});

}  // namespace octavo
