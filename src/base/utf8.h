#pragma once

#include <string_view>

namespace octavo {

// Whether the bytes are UTF-8 as RFC 3629 defines it: shortest forms only, no surrogates, nothing
// above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace octavo
