#include "cli/checks.h"

#include <algorithm>
#include <charconv>

#include "octavo/verify.h"

namespace octavo::cli {

namespace {

template <class T>
bool parse(const std::string& text, T& value) {
  const auto got = std::from_chars(text.data(), text.data() + text.size(), value);
  return got.ec == std::errc{} && got.ptr == text.data() + text.size();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string shown(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

CLI::Validator whole(uint64_t low, uint64_t high) {
  return {[low, high](std::string& text) -> std::string {
            uint64_t value = 0;
            if (parse(text, value) && value >= low && value <= high) return "";
            return "\"" + text + "\" is not a whole number from " + std::to_string(low) + " to " +
                   std::to_string(high);
          },
          ""};
}

CLI::Validator number(double low, double high) {
  return {[low, high](std::string& text) -> std::string {
            double value = 0;
            if (parse(text, value) && value >= low && value <= high) return "";
            return "\"" + text + "\" is not a number from " + shown(low) + " to " + shown(high);
          },
          ""};
}

CLI::Validator probe_name() {
  return {[](std::string& name) -> std::string {
            const auto texts = probe_texts(name);
            return texts ? "" : texts.error().message;
          },
          ""};
}

CLI::Validator choice(std::map<std::string, int> values) {
  return {[values = std::move(values)](std::string& text) -> std::string {
            if (const auto found = values.find(lower(text)); found != values.end()) {
              text = std::to_string(found->second);
              return "";
            }
            std::string names;
            for (const auto& [name, value] : values) names += (names.empty() ? "" : ", ") + name;
            return "\"" + text + "\" is not one of " + names;
          },
          ""};
}

void add_threads(CLI::App& command, int& threads) {
  command
      .add_option("--threads", threads, "threads (default, and 0: as many as this process may use)")
      ->check(whole(0, kMostThreads))
      ->type_name("N");
}

}  // namespace octavo::cli
