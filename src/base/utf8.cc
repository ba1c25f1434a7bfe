#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace octavo {

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at++]);
    if (first < 0x80) continue;
    // Continuation bytes of a sequence, and the least code point that needs so many.
    const int more = first >> 5 == 0x6 ? 1 : first >> 4 == 0xE ? 2 : first >> 3 == 0x1E ? 3 : 0;
    constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (more == 0 || text.size() - at < static_cast<size_t>(more)) return false;
    uint32_t code = first & (0x3FU >> more);
    for (int i = 0; i < more; ++i) {
      const auto next = static_cast<unsigned char>(text[at++]);
      if ((next & 0xC0U) != 0x80U) return false;
      code = code << 6 | (next & 0x3FU);
    }
    if (code < kLeast[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

}  // namespace octavo
