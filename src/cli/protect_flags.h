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

  // Set when one of the two was given. Tokenizer and calibration are the command's own.
  std::optional<ProtectSearch> search() const;
};

void add_protect_flags(CLI::App& command, ProtectFlags& flags);

}  // namespace octavo::cli
