#include "cli/help.h"

#include <sstream>

namespace octavo::cli {

namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 26;  // where descriptions start

// "  left side         description", the description on a line of its own when the left side is
// long.
std::string entry(const std::string& left, const std::string& description) {
  std::string out = "  " + left;
  if (out.size() + 2 > kColumn) {
    out += "\n" + std::string(kColumn, ' ');
  } else {
    out += std::string(kColumn - out.size(), ' ');
  }
  return out + wrapped(description, kWidth - kColumn, kColumn) + "\n";
}

// What CLI11 calls the type: without the validators it appends behind a colon.
std::string value_name(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  return name.substr(0, name.find(':'));
}

}  // namespace

std::string wrapped(const std::string& text, size_t width, size_t indent) {
  std::istringstream words(text);
  std::string out;
  size_t column = 0;
  for (std::string word; words >> word;) {
    if (column > 0 && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

HelpFormatter::HelpFormatter() {
  label("OPTIONS", "options");
  label("SUBCOMMAND", "command");
  label("Positionals", "Arguments");
}

std::string HelpFormatter::make_subcommand(const CLI::App* sub) const {
  const std::string description = sub->get_description();
  return entry(sub->get_name(), description.substr(0, description.find('\n')));
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  std::string left = option->get_name(is_positional, !is_positional);
  for (size_t at = 0; (at = left.find(',', at)) != std::string::npos; at += 2)
    left.replace(at, 1, ", ");
  // CLI11 spells a flag that takes back a default with the value that it gives.
  if (const size_t at = left.find("{false}"); at != std::string::npos) left.erase(at);
  if (!is_positional && option->get_items_expected_max() > 0) left += " " + value_name(*option);
  std::string description = option->get_description();
  if (!option->get_default_str().empty())
    description += " (default: " + option->get_default_str() + ")";
  if (!is_positional && option->get_required()) description += " (required)";
  return entry(left, description);
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return app->get_description() + "\n\n";
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  std::string out = CLI::Formatter::make_usage(app, std::move(name));
  while (out.ends_with('\n')) out.pop_back();
  return out + "\n";
}

// CLI11 ends every group of options but the last with a blank line, and begins each with one.
std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  std::string out = CLI::Formatter::make_help(app, std::move(name), mode);
  for (size_t at = 0; (at = out.find("\n\n\n", at)) != std::string::npos;) out.erase(at, 1);
  return out;
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  return app->get_footer() + "\n";
}

}  // namespace octavo::cli
