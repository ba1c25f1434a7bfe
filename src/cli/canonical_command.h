#pragma once
// The command that a model card shows: what decides the result, spelled one way however it was
// typed. Files by their names, because folders are private and differ between machines; nothing
// that only says where the result goes or how it is printed.

#include <CLI/CLI.hpp>
#include <set>
#include <string>

namespace octavo::cli {

// Positionals first, then the options that were given another value than their default, as they are
// declared. `left_out`: names ("--json") of options that do not change the result.
std::string canonical_command(const CLI::App& command, const std::set<std::string>& left_out);

}  // namespace octavo::cli
