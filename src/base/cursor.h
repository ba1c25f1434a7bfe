#pragma once
// A bounds-checked little-endian reader over untrusted bytes. Every binary format is parsed through
// it and nothing else: a read past the end is an error that names the byte, never an access.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace octavo {

static_assert(std::endian::native == std::endian::little, "file formats are read in place");

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return at_; }
  size_t remaining() const { return bytes_.size() - at_; }

  // The next n bytes; the cursor moves behind them.
  Result<std::span<const std::byte>> take(uint64_t n) {
    if (n > remaining()) {
      return Error{Code::invalid_input, "needs " + std::to_string(n) + " bytes at byte " +
                                            std::to_string(at_) + ", but only " +
                                            std::to_string(remaining()) + " are left"};
    }
    auto out = bytes_.subspan(at_, n);
    at_ += n;
    return out;
  }

  template <class T>
  requires std::is_arithmetic_v<T> Result<T> read() {
    OCTAVO_TRY(auto raw, take(sizeof(T)));
    T value;
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }

  // n bytes as text (no encoding is checked here).
  Result<std::string_view> text(uint64_t n) {
    OCTAVO_TRY(auto raw, take(n));
    return std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size());
  }

  // Moves to an absolute position inside the bytes (the end is allowed).
  Status seek(uint64_t position) {
    if (position > bytes_.size()) {
      return Error{Code::invalid_input, "position " + std::to_string(position) +
                                            " is behind the end at " +
                                            std::to_string(bytes_.size())};
    }
    at_ = position;
    return Done{};
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
};

// a * b and a + b for sizes from files: nullopt-free, an error on overflow.
inline Result<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out))
    return Error{Code::invalid_input,
                 "size overflow: " + std::to_string(a) + " * " + std::to_string(b)};
  return out;
}
inline Result<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_add_overflow(a, b, &out))
    return Error{Code::invalid_input,
                 "size overflow: " + std::to_string(a) + " + " + std::to_string(b)};
  return out;
}

}  // namespace octavo
