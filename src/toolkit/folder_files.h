#pragma once
// The files beside the models of an output folder. Whoever opens the folder believes what lies
// there (1_Pooling/config.json decides the pooling), so a file of another model must not stay
// beside a new one.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace octavo {

// Those of `known` that are in the folder but not among `made`.
std::vector<std::string> left_over(const std::filesystem::path& folder,
                                   const std::vector<std::string>& known,
                                   const std::vector<std::string>& made);

// Errors: invalid_input naming them, when there are any.
Status check_nothing_left(const std::filesystem::path& folder,
                          const std::vector<std::string>& left);

// And the folders inside `folder` that this empties. Errors: io.
Status remove_files(const std::filesystem::path& folder, const std::vector<std::string>& names);

}  // namespace octavo
