#pragma once
// The CRC-32 of zip and zlib (polynomial 0xedb88320, reflected), continued from an earlier one.

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

}  // namespace octavo
