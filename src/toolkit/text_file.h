#pragma once
// Files of texts, for probes and calibration: the lines of toolkit/text_lines.h without the empty
// ones of a plain file.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

// Errors: not_found, io; invalid_input naming the line, or when there is no text at all.
Result<std::vector<std::string>> read_text_file(const std::filesystem::path& file);
// `name` is what error messages call the content.
Result<std::vector<std::string>> parse_texts(std::string_view content, const std::string& name);

}  // namespace octavo
