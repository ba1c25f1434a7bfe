// Input: a text. What parses is written and parses again to the same document; no depth overflows
// the stack and nothing is thrown.

#include "formats/json.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto document =
      octavo::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz", size_t{1} << 20);
  if (!document) {
    if (document.error().message.size() > 1000) std::abort();
    return 0;
  }
  const auto text = octavo::json_text(*document);
  if (!text) std::abort();
  const auto again = octavo::parse_json(*text, "fuzz");
  if (!again || *again != *document) std::abort();
  return 0;
}
