#pragma once
// --max-size: bytes as people write them.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace octavo::cli {

// "650MB" (10^6), "620MiB" (2^20), "1.2GB", "650000000"; nothing when it is none of that.
std::optional<uint64_t> bytes_of(const std::string& text);

CLI::Option* add_max_size(CLI::App& command, std::optional<uint64_t>& bytes,
                          const std::string& help);

}  // namespace octavo::cli
