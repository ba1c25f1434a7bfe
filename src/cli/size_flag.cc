#include "cli/size_flag.h"

#include <charconv>
#include <map>

namespace octavo::cli {

std::optional<uint64_t> bytes_of(const std::string& text) {
  static const std::map<std::string, double> kUnits = {
      {"", 1},     {"B", 1},      {"kB", 1e3},      {"KB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto got = std::from_chars(text.data(), end, number);
  if (got.ec != std::errc{} || !(number > 0)) return {};
  const auto unit = kUnits.find(std::string(got.ptr, end));
  if (unit == kUnits.end() || number * unit->second >= 1e18) return {};
  return static_cast<uint64_t>(number * unit->second);
}

CLI::Option* add_max_size(CLI::App& command, std::optional<uint64_t>& bytes,
                          const std::string& help) {
  return command
      .add_option_function<std::string>(
          "--max-size", [&bytes](const std::string& text) { bytes = bytes_of(text); }, help)
      ->type_name("SIZE")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return bytes_of(text) ? std::string()
                                  : "\"" + text + "\" is no size: give 650MB, 620MiB or bytes";
          },
          ""));
}

}  // namespace octavo::cli
