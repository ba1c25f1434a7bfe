#pragma once
// The hashes by which a hub names contents: SHA-256 of a large file (Git LFS), SHA-1 of a Git blob
// for the others.

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace octavo::hub {

enum class HashKind : uint8_t { sha256, git_blob };

struct Hash {
  HashKind kind = HashKind::sha256;
  std::string hex;  // 64 or 40 lower-case digits
};

const char* hash_name(HashKind kind);

// Lower-case hex. Errors: not_found, io.
Result<std::string> hash_of_file(const std::filesystem::path& file, HashKind kind);

}  // namespace octavo::hub
