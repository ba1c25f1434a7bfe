#pragma once
// --alpha A|auto and what belongs to the search, the same for every command that smooths.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "octavo/smooth.h"

namespace octavo::cli {

struct AlphaFlags {
  std::string alpha = "0.8";  // a number, or "auto"
  AlphaSearch search;

  bool automatic() const { return alpha == "auto"; }
  double number() const;  // precondition: not automatic, and checked by the option
};

// The option --alpha, whose default the caller may show otherwise.
CLI::Option* add_alpha_flags(CLI::App& command, AlphaFlags& flags);

// Options of a search that is not asked for are a wrong usage (CLI::ValidationError).
void refuse_search_options(const CLI::App& command, const AlphaFlags& flags);

}  // namespace octavo::cli
