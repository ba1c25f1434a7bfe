#include "server/json_output.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace octavo::server {

static_assert(std::endian::native == std::endian::little);

void append_floats(std::string& out, std::span<const float> values) {
  out += '[';
  char digits[32];
  for (size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out += ',';
    // "-0" is an integer to many readers, and integers have no sign at zero.
    if (values[i] == 0 && std::signbit(values[i])) {
      out += "-0.0";
      continue;
    }
    out.append(digits, std::to_chars(digits, digits + sizeof digits, values[i]).ptr);
  }
  out += ']';
}

void append_base64(std::string& out, std::span<const float> values) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  const size_t size = values.size_bytes();
  out += '"';
  for (size_t i = 0; i < size; i += 3) {
    const size_t left = size - i;
    const uint32_t three = uint32_t{bytes[i]} << 16 |
                           (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0U) |
                           (left > 2 ? uint32_t{bytes[i + 2]} : 0U);
    const std::array<char, 4> four = {kDigits[three >> 18], kDigits[three >> 12 & 63],
                                      left > 1 ? kDigits[three >> 6 & 63] : '=',
                                      left > 2 ? kDigits[three & 63] : '='};
    out.append(four.data(), four.size());
  }
  out += '"';
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_string(std::string& out, std::string_view text) { out += json_quoted(text); }

}  // namespace octavo::server
