#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "base/mapped_file.h"

namespace octavo {

namespace {

constexpr size_t kStep = size_t{16} << 20;

// mapped: pages behind are given back, so that hashing 2 GB does not fill the memory.
Result<std::string> digest(std::span<const std::byte> bytes, HashKind kind, bool mapped) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const Error failed{Code::internal, std::string("OpenSSL cannot compute ") + hash_name(kind)};
  const EVP_MD* algorithm = kind == HashKind::sha256 ? EVP_sha256() : EVP_sha1();
  if (!context || EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1) return failed;
  if (kind == HashKind::git_blob) {
    // Git hashes "blob <size>", a zero byte, and the content.
    const std::string head = "blob " + std::to_string(bytes.size()) + '\0';
    if (EVP_DigestUpdate(context.get(), head.data(), head.size()) != 1) return failed;
  }
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kStep));
    if (EVP_DigestUpdate(context.get(), piece.data(), piece.size()) != 1) return failed;
    if (mapped) drop_pages(piece);
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

const char* hash_name(HashKind kind) {
  return kind == HashKind::sha256 ? "SHA-256" : "Git blob SHA-1";
}

Result<std::string> hash_of_file(const std::filesystem::path& file, HashKind kind) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  return digest(mapped->bytes(), kind, true);
}

Result<std::string> hash_of(std::string_view bytes, HashKind kind) {
  return digest(std::as_bytes(std::span(bytes.data(), bytes.size())), kind, false);
}

}  // namespace octavo
