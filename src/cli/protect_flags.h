#pragma once
// --target-cos and --max-extra-macs: the search for nodes that get 16-bit activations, the same for
// every command that quantizes.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "octavo/quantize.h"

namespace octavo::cli {

struct ProtectFlags {
  std::optional<double> target_cos;
  std::optional<double> max_extra_macs;  // a share
  std::string log;

  // Set when one of the two was given and there is something to spend. Tokenizer and calibration
  // are the command's own.
  std::optional<ProtectSearch> search() const;
};

void add_protect_flags(CLI::App& command, ProtectFlags& flags);

// --max-extra-macs 0 leaves nothing that a target or a log could be for (CLI::ValidationError).
void refuse_without_budget(const CLI::App& command, const ProtectFlags& flags);

}  // namespace octavo::cli
