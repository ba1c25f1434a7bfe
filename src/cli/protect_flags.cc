#include "cli/protect_flags.h"

#include <cstdlib>

namespace octavo::cli {

namespace {

// "15%" or "0.15"; nothing when it is neither, or outside 0..1.
std::optional<double> share_of(const std::string& text) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str()) return {};
  if (*end == '%') {
    value /= 100;
    ++end;
  }
  if (*end != '\0' || !(value >= 0 && value <= 1)) return {};
  return value;
}

}  // namespace

std::optional<ProtectSearch> ProtectFlags::search() const {
  if ((!target_cos && !max_extra_macs) || max_extra_macs == 0.0) return {};
  ProtectSearch out;
  out.target_cos = target_cos.value_or(out.target_cos);
  out.max_extra_macs = max_extra_macs.value_or(out.max_extra_macs);
  out.log = log;
  return out;
}

void add_protect_flags(CLI::App& command, ProtectFlags& flags) {
  command
      .add_option("--target-cos", flags.target_cos,
                  "with per-token activations (build: --profile accurate): give 16 bits to the "
                  "cheapest nodes that bring every judged text to this cosine")
      ->type_name("COS")
      ->check(CLI::Range(-1.0, 1.0));
  command
      .add_option_function<std::string>(
          "--max-extra-macs",
          [&flags](const std::string& text) { flags.max_extra_macs = share_of(text); },
          "with per-token activations (build: --profile accurate, where 15% is the default): 16 "
          "bits for nodes of at most this share of the products (15% or 0.15), where they help "
          "most")
      ->type_name("SHARE")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return share_of(text) ? std::string()
                                  : "\"" + text + "\" is no share: give 15% or 0.15";
          },
          ""));
  command
      .add_option("--protect-log", flags.log,
                  "with the two above: keep what was measured in FILE, and go on from it")
      ->type_name("FILE");
}

void refuse_without_budget(const CLI::App& command, const ProtectFlags& flags) {
  if (flags.max_extra_macs != 0.0) return;
  for (const char* option : {"--target-cos", "--protect-log"})
    if (command.count(option) > 0)
      throw CLI::ValidationError(option, "cannot go with --max-extra-macs 0, which spends nothing");
}

}  // namespace octavo::cli
