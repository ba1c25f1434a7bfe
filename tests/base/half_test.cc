#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace octavo {
namespace {

TEST(Half, EveryBinary16RoundTrips) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const auto half = static_cast<uint16_t>(h);
    const float value = f16_to_f32(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      ASSERT_EQ(f32_to_f16(value), half);
    }
    // Against the compiler's own conversion.
    const auto native = static_cast<float>(std::bit_cast<_Float16>(half));
    if (std::isnan(native)) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(native), std::bit_cast<uint32_t>(value));
  }
}

TEST(Half, RoundsToNearestEvenAsTheCompilerDoes) {
  for (uint64_t b = 0; b < (uint64_t{1} << 32);
       b += 9973) {  // a prime: every exponent, many mantissas
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(b));
    if (std::isnan(value)) continue;
    ASSERT_EQ(f32_to_f16(value), std::bit_cast<uint16_t>(static_cast<_Float16>(value))) << value;
  }
}

TEST(Half, Bfloat16TiesGoToEven) {
  EXPECT_EQ(f32_to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // tie, even below
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);  // tie, even above
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace octavo
