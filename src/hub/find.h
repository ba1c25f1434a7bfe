#pragma once
// What find_cached() and pull_model() share.

#include <filesystem>
#include <string>
#include <vector>

#include "hub/selection.h"

namespace octavo::hub {

// shards_of() for an index on the disk.
Result<std::vector<std::string>> shards_in_file(const std::filesystem::path& file,
                                                const std::string& name,
                                                const std::vector<RepositoryFile>& files);

}  // namespace octavo::hub
