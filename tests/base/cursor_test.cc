#include "base/cursor.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace octavo {
namespace {

TEST(Cursor, ReadsLittleEndianAndRefusesTheByteBehindTheEnd) {
  const std::array<unsigned char, 5> raw{0x01, 0x02, 0x03, 0x04, 0xff};
  Cursor cursor(std::as_bytes(std::span(raw)));
  EXPECT_EQ(*cursor.read<uint32_t>(), 0x04030201U);
  const auto past = cursor.read<uint16_t>();
  ASSERT_FALSE(past);
  EXPECT_NE(past.error().message.find("at byte 4"), std::string::npos) << past.error().message;
  EXPECT_EQ(cursor.position(), 4U);  // a refused read moves nothing
  EXPECT_EQ(*cursor.read<int8_t>(), -1);
  EXPECT_TRUE(cursor.take(0));
}

TEST(Cursor, HugeLengthsDoNotWrap) {
  const std::array<unsigned char, 4> raw{};
  Cursor cursor(std::as_bytes(std::span(raw)));
  ASSERT_TRUE(cursor.seek(2));
  EXPECT_FALSE(cursor.take(std::numeric_limits<uint64_t>::max()));
  EXPECT_FALSE(cursor.text(std::numeric_limits<uint64_t>::max() - 1));
  EXPECT_FALSE(cursor.seek(5));
  EXPECT_TRUE(cursor.seek(4));
}

TEST(CheckedArithmetic, RefusesOverflow) {
  EXPECT_EQ(*checked_mul(1ULL << 31, 1ULL << 32), 1ULL << 63);
  EXPECT_FALSE(checked_mul(1ULL << 32, 1ULL << 32));
  EXPECT_FALSE(checked_add(std::numeric_limits<uint64_t>::max(), 1));
}

}  // namespace
}  // namespace octavo
