#pragma once
// The files beside the models of an output folder. Whoever opens the folder believes what lies
// there (1_Pooling/config.json decides the pooling), so a file of another model must not stay
// beside a new one.

#include <filesystem>
#include <map>
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

// The ONNX models in the folder read the files beside them. `made`: relative path -> content of
// what is to be written there, `own`: the models that are replaced with it. Errors: invalid_input
// when a model that stays would find another content than before.
Status check_models_keep_files(const std::filesystem::path& folder,
                               const std::vector<std::string>& own,
                               const std::map<std::string, std::string>& made);

// And the folders inside `folder` that this empties. Errors: io.
Status remove_files(const std::filesystem::path& folder, const std::vector<std::string>& names);

}  // namespace octavo
