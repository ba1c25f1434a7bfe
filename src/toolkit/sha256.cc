#include "toolkit/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/mapped_file.h"

namespace octavo {

namespace {

constexpr size_t kStep = size_t{16} << 20;

// drop: give the pages back behind us, so that hashing 2 GB does not fill the memory.
Result<std::string> digest(std::span<const std::byte> bytes, bool drop) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const Error failed{Code::internal, "OpenSSL cannot compute SHA-256"};
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return failed;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kStep));
    if (EVP_DigestUpdate(context.get(), piece.data(), piece.size()) != 1) return failed;
    if (drop) drop_pages(piece);
    bytes = bytes.subspan(piece.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context.get(), value.data(), &size) != 1) return failed;
  std::string hex;
  for (const unsigned char byte : std::span(value).first(size)) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace

Result<std::string> sha256_of_file(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  return digest(mapped->bytes(), true);
}

Result<std::string> sha256_of(std::string_view bytes) {
  return digest(std::as_bytes(std::span(bytes.data(), bytes.size())), false);
}

}  // namespace octavo
