// What the environment says about the hub, read as the Python hub client reads it.

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>

#include "base/mapped_file.h"
#include "octavo/hub.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMostToken = 4096;

// "" when it is not set, as when it is empty.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_on(const char* name) {
  std::string value = variable(name);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

fs::path home() {
  if (const std::string set = variable("HOME"); !set.empty()) return set;
  const passwd* entry = ::getpwuid(::getuid());
  return entry == nullptr || entry->pw_dir == nullptr ? "/" : entry->pw_dir;
}

// ~ stands for the home folder, as in the Python client.
fs::path expanded(const std::string& path) {
  if (path == "~") return home();
  if (path.starts_with("~/")) return home() / path.substr(2);
  return path;
}

fs::path hub_home() {
  if (const std::string set = variable("HF_HOME"); !set.empty()) return expanded(set);
  const std::string xdg = variable("XDG_CACHE_HOME");
  return (xdg.empty() ? home() / ".cache" : expanded(xdg)) / "huggingface";
}

std::string trimmed(std::string text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  text.erase(std::find_if_not(text.rbegin(), text.rend(), space).base(), text.end());
  return text;
}

// It becomes a line of a request's header: a line break inside would add lines of its own.
Status check_token(const HubSettings& settings) {
  const bool printable = std::all_of(settings.token.begin(), settings.token.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || settings.token.size() > kMostToken)
    return Error{Code::invalid_input,
                 settings.token_from + ": is no token (printable characters without a space)"};
  return Done{};
}

Status read_token(HubSettings& settings) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    settings.token = trimmed(variable(name));
    settings.token_from = name;
    if (!settings.token.empty()) return check_token(settings);
  }
  const std::string set = variable("HF_TOKEN_PATH");
  const fs::path file = set.empty() ? hub_home() / "token" : expanded(set);
  settings.token_from = file.string();
  std::error_code error;
  if (is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") || !fs::exists(file, error)) return Done{};
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto bytes = mapped->bytes();
  settings.token = trimmed(
      {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kMostToken + 1)});
  return check_token(settings);
}

}  // namespace

Result<HubSettings> hub_settings() {
  HubSettings settings;
  if (const std::string set = variable("HF_ENDPOINT"); !set.empty()) settings.endpoint = set;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (!settings.endpoint.starts_with("https://") && !settings.endpoint.starts_with("http://"))
    return Error{Code::invalid_input, "HF_ENDPOINT is \"" + settings.endpoint +
                                          "\"; expected an address like https://huggingface.co"};
  settings.offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
  settings.ca_file = variable("SSL_CERT_FILE");
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (settings.cache.empty()) settings.cache = expanded(variable(name));
  }
  if (settings.cache.empty()) settings.cache = hub_home() / "hub";
  if (const std::string set = variable("HF_HUB_DOWNLOAD_TIMEOUT"); !set.empty()) {
    unsigned seconds = 0;
    const auto got = std::from_chars(set.data(), set.data() + set.size(), seconds);
    if (got.ec != std::errc{} || got.ptr != set.data() + set.size() || seconds == 0 ||
        seconds > 86'400)
      return Error{Code::invalid_input, "HF_HUB_DOWNLOAD_TIMEOUT is \"" + set +
                                            "\"; expected whole seconds from 1 to 86400"};
    settings.stall_time = std::chrono::seconds(seconds);
  }
  OCTAVO_CHECK(read_token(settings));
  return settings;
}

}  // namespace octavo
