#include "base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace octavo {
namespace {

// The bytes of a code point in the given length, shortest or not.
std::string encoded(uint32_t code, int bytes) {
  if (bytes == 1) return {static_cast<char>(code)};
  std::string out(static_cast<size_t>(bytes), '\0');
  for (int i = bytes - 1; i > 0; --i, code >>= 6)
    out[static_cast<size_t>(i)] = static_cast<char>(0x80U | (code & 0x3FU));
  out[0] = static_cast<char>((0xF00U >> bytes & 0xFFU) | code);
  return out;
}

int shortest(uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }

TEST(Utf8, EveryCodePointInEveryLength) {
  EXPECT_EQ(encoded(0xE9, 2), "\xC3\xA9");
  EXPECT_EQ(encoded(0x20AC, 3), "\xE2\x82\xAC");
  EXPECT_EQ(encoded(0x1F600, 4), "\xF0\x9F\x98\x80");
  for (uint32_t code = 0; code < 0x200000; ++code) {
    const bool character = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    for (int bytes = shortest(code); bytes <= 4; ++bytes) {
      const bool right = is_utf8(encoded(code, bytes)) == (character && bytes == shortest(code));
      ASSERT_TRUE(right) << "U+" << std::hex << code << " in " << bytes << " bytes";
    }
  }
}

TEST(Utf8, WhatIsCutOrOutOfPlaceIsNone) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8(std::string("a\0b", 3)));
  EXPECT_TRUE(is_utf8("na\xC3\xAFve \xF0\x9F\x98\x80."));
  for (const char* text : {"\x80", "a\xBF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xC3(",
                           "\xE2\x82(", "\xF8\x88\x80\x80\x80", "\xFF", "caf\xE9 noir"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace octavo
