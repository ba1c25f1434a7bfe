#pragma once
// How --help looks: 80 columns, the list of commands with one line each, and of an option only what
// a person types. CLI11's own layout shows every validator and breaks no line.

#include <CLI/CLI.hpp>
#include <string>

namespace octavo::cli {

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_subcommand(const CLI::App* sub) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_description(const CLI::App* app) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_footer(const CLI::App* app) const override;
};

// The longest line of the result has `width` columns, its later lines start with `indent` spaces.
std::string wrapped(const std::string& text, size_t width, size_t indent);

}  // namespace octavo::cli
