#pragma once
// The CRC-32 of zip and zlib (polynomial 0xedb88320, reflected), continued from an earlier one or
// joined from two.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace octavo {

constexpr std::array<uint32_t, 256> make_crc32_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xedb88320U ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}

inline uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes) {
  static constexpr auto kTable = make_crc32_table();
  crc = ~crc;
  for (const std::byte b : bytes)
    crc = kTable[(crc ^ static_cast<uint32_t>(b)) & 0xffU] ^ (crc >> 8);
  return ~crc;
}

// The CRC of a followed by b from those of a and b: that of a, moved by the length of b (times
// x^(8 size) modulo the polynomial, by squaring), plus that of b.
constexpr uint32_t crc32_joined(uint32_t a, uint32_t b, uint64_t b_size) {
  const auto times = [](uint32_t p, uint32_t q) {  // bit 31 is x^0
    uint32_t product = 0;
    for (; p != 0; p <<= 1) {
      if ((p & 0x80000000U) != 0) product ^= q;
      q = (q & 1U) != 0 ? 0xedb88320U ^ (q >> 1) : q >> 1;
    }
    return product;
  };
  uint32_t power = 0x00800000U;  // x^8
  for (; b_size != 0; b_size >>= 1) {
    if ((b_size & 1U) != 0) a = times(power, a);
    power = times(power, power);
  }
  return a ^ b;
}

}  // namespace octavo
