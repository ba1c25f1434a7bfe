#pragma once
// JSON of answers, written rather than built: a document of a thousand vectors would be many times
// their size.

#include <span>
#include <string>
#include <string_view>

namespace octavo::server {

// [0.25,...]: the shortest digits that read back as the same float32.
void append_floats(std::string& out, std::span<const float> values);
// "AACAPg==": little-endian float32 in base64, in quotes.
void append_base64(std::string& out, std::span<const float> values);
// In quotes, escaped; bytes that are not UTF-8 become U+FFFD.
void append_string(std::string& out, std::string_view text);
std::string json_quoted(std::string_view text);

}  // namespace octavo::server
