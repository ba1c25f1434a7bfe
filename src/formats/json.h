#pragma once
// nlohmann-json behind limits: untrusted text is refused when it is larger than `max_bytes`, nested
// deeper than 64, has a duplicate key, or is not UTF-8; a NaN or huge number is an error as well.

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

// `name` is what error messages call the text (a file name); they give the byte.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& name,
                                  size_t max_bytes = size_t{256} << 20);
// Errors: as above, not_found, io.
Result<nlohmann::json> read_json(const std::filesystem::path& file);

// obj[key] when it is there (and not null) and of that kind, else the fallback; never throws.
int64_t json_int(const nlohmann::json& object, const char* key, int64_t fallback);
double json_double(const nlohmann::json& object, const char* key, double fallback);
bool json_bool(const nlohmann::json& object, const char* key, bool fallback);
std::string json_string(const nlohmann::json& object, const char* key, const std::string& fallback);

}  // namespace octavo
