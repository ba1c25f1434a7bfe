#include "cli/alpha_flags.h"

#include <cstdlib>

#include "cli/checks.h"

namespace octavo::cli {

namespace {

// CLI11's way: the reason it is wrong, or nothing.
std::string check_alpha(const std::string& text) {
  if (text == "auto") return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && value >= 0 && value <= 1) return {};
  return "\"" + text + "\" is neither a number from 0 to 1 nor auto";
}

}  // namespace

double AlphaFlags::number() const { return std::strtod(alpha.c_str(), nullptr); }

CLI::Option* add_alpha_flags(CLI::App& command, AlphaFlags& flags) {
  CLI::Option* alpha =
      command
          .add_option(
              "--alpha", flags.alpha,
              "share of the outliers that moves into the weights: 1 makes all channels of X "
              "alike, 0 all rows of the weights; auto searches one for every site on calibration "
              "texts kept apart")
          ->type_name("A|auto")
          ->check(CLI::Validator(check_alpha, ""))
          ->capture_default_str();
  command
      .add_option("--search-log", flags.search.log,
                  "with --alpha auto: keep what was tried in FILE, and go on from it after a stop")
      ->type_name("FILE");
  command
      .add_option("--evaluations", flags.search.evaluations,
                  "with --alpha auto: quantized models to try, at most; 7 or more")
      ->type_name("N")
      ->check(whole(7, 10000))
      ->capture_default_str();
  return alpha;
}

void refuse_search_options(const CLI::App& command, const AlphaFlags& flags) {
  if (flags.automatic()) return;
  for (const char* option : {"--search-log", "--evaluations"})
    if (command.count(option) > 0)
      throw CLI::ValidationError(option, "is for --alpha auto: a number is not searched");
}

}  // namespace octavo::cli
