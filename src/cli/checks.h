#pragma once
// Checks of option values. What they say is one line with the value and what would be right; CLI11
// puts the option's name before it. Its own checks print the range of a double in 309 digits.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace octavo::cli {

// Far above what any model or machine has, and small enough that no product of two overflows.
inline constexpr uint64_t kMostTokens = uint64_t{1} << 24;
inline constexpr uint64_t kMostThreads = 1024;

// A whole number in decimal digits.
CLI::Validator whole(uint64_t low, uint64_t high);
// A number with or without a fraction; nan is none.
CLI::Validator number(double low, double high);
// The name of a built-in probe.
CLI::Validator probe_name();
// One of the names, whatever its case; the option's value is what the name stands for.
CLI::Validator choice(std::map<std::string, int> values);
template <class Values>
CLI::Validator choice(const Values& values) {
  std::map<std::string, int> numbers;
  for (const auto& [name, value] : values) numbers[name] = static_cast<int>(value);
  return choice(numbers);
}
// One of the names, which stays.
template <class T>
CLI::Validator one_of(const std::map<std::string, T>& values) {
  std::string names;
  for (const auto& [name, value] : values) names += (names.empty() ? "" : ", ") + name;
  return {[values, names](std::string& text) -> std::string {
            return values.contains(text) ? "" : "\"" + text + "\" is not one of " + names;
          },
          ""};
}

// --threads, the same for every command.
void add_threads(CLI::App& command, int& threads);

}  // namespace octavo::cli
