#pragma once
// Names that come from a person or from a hub, checked before they become paths or URLs.

#include <string>
#include <string_view>

#include "octavo/hub.h"

namespace octavo::hub {

// 40 lower-case hex digits.
bool is_commit(std::string_view text);
bool is_hex(std::string_view text, size_t digits);

// A file of a repository: relative, of plain components (no "..", no ".", no empty one), no
// backslash, no control character.
bool is_safe_path(std::string_view path);
// One component: the name of a blob.
bool is_safe_name(std::string_view name);

// Percent-encoded; a slash stays where `keep_slashes`.
std::string url_encoded(std::string_view text, bool keep_slashes);

// * any characters, ? one, [abc] and [a-c] one of these, [!a] one that is not.
bool matches_glob(std::string_view path, std::string_view pattern);

}  // namespace octavo::hub
