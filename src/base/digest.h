#pragma once
// Hashes of contents: SHA-256, as model cards and Git LFS have it, and the SHA-1 of a Git blob.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

enum class HashKind : uint8_t { sha256, git_blob };

struct Hash {
  HashKind kind = HashKind::sha256;
  std::string hex;  // 64 or 40 lower-case digits
};

const char* hash_name(HashKind kind);

// Lower-case hex. Errors: not_found, io.
Result<std::string> hash_of_file(const std::filesystem::path& file, HashKind kind);
Result<std::string> hash_of(std::string_view bytes, HashKind kind);

}  // namespace octavo
