#pragma once
// SHA-256 of files, for model cards.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

// 64 lower-case hex digits. Errors: not_found, io.
Result<std::string> sha256_of_file(const std::filesystem::path& file);
Result<std::string> sha256_of(std::string_view bytes);

}  // namespace octavo
