#include "cli/canonical_command.h"

#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/shell.h"
#include "octavo/hub.h"

namespace octavo::cli {

namespace {

// "model" for "../model/", "." and a link to it: the name that the thing itself has. That of a
// model on the hub says where everybody finds it.
std::string file_name(const std::string& path) {
  if (hub_name_in(path)) return path;
  std::error_code ignored;
  auto whole = std::filesystem::weakly_canonical(path, ignored);
  if (whole.empty()) whole = path;
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

// 0.80 and .8 are 0.8.
std::string plain_number(const std::string& text) {
  double value = 0;
  const auto got = std::from_chars(text.data(), text.data() + text.size(), value);
  if (got.ec != std::errc{} || got.ptr != text.data() + text.size()) return text;
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

bool names_a_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type.starts_with("FILE") || type.starts_with("DIR");
}

}  // namespace

std::string canonical_command(const CLI::App& command, const std::set<std::string>& left_out) {
  std::string positionals;
  std::string options;
  for (const CLI::Option* option :
       command.get_options([](const CLI::Option* o) { return o->count() > 0; })) {
    const std::string name = option->get_name();
    if (left_out.contains(name)) continue;
    std::string shown;
    for (const std::string& value : option->results())
      shown += " " + shell_quoted(names_a_file(*option) ? file_name(value) : plain_number(value));
    if (option->get_positional()) {
      positionals += shown;
    } else if (option->get_items_expected_max() == 0) {
      options += " " + name;
    } else if (shown != " " + shell_quoted(plain_number(option->get_default_str()))) {
      options += " " + name + shown;
    }
  }
  return "octavo " + command.get_name() + positionals + options;
}

}  // namespace octavo::cli
