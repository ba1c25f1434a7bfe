#pragma once
// How far each quantized product is from the float model's, with everything before it quantized as
// well: what a site really sees.

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace octavo {

// Of each node (by name, in float_model) the relative error of its first output over all tokens of
// the texts: |quantized - float| / |float|, in the Euclidean norm. Left out: nodes whose output the
// quantized model does not have under that name, or that give zeros. Both models take the same ids.
Result<std::map<std::string, double>> node_errors(const std::filesystem::path& float_model,
                                                  const std::filesystem::path& quantized_model,
                                                  std::span<const std::vector<int64_t>> ids,
                                                  std::span<const std::string> nodes,
                                                  const std::shared_ptr<ThreadPool>& pool);

// A few texts, from short to long, each cut: every output of every site is held for all of them.
std::vector<std::vector<int64_t>> texts_for_errors(std::span<const std::vector<int64_t>> ids);

// Of several nodes together: root of the mean square; negative when none of them is there.
double joint_error(const std::map<std::string, double>& errors, std::span<const std::string> nodes);

}  // namespace octavo
