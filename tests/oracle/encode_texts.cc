// Token ids of many texts, for the oracle. usage: encode_texts TOKENIZER.json MAX_LENGTH
// Standard input: for each text its size as four bytes, little-endian, then its bytes. Output: a
// line each: the full length, then the ids.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto tokenizer = octavo::Tokenizer::open(argv[1]);
  if (!tokenizer) return std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str()), 3;
  unsigned char size[4];
  std::string text;
  while (std::fread(size, 1, sizeof size, stdin) == sizeof size) {
    text.resize(size[0] | size[1] << 8U | size[2] << 16U | static_cast<size_t>(size[3]) << 24U);
    if (std::fread(text.data(), 1, text.size(), stdin) != text.size()) return 2;
    const auto encoding = tokenizer->encode(text, std::strtoul(argv[2], nullptr, 10));
    if (!encoding) return std::fprintf(stderr, "%s\n", encoding.error().message.c_str()), 3;
    std::string line = std::to_string(encoding->full_length);
    for (const int64_t id : encoding->ids) line += " " + std::to_string(id);
    std::puts(line.c_str());
  }
  return 0;
}
