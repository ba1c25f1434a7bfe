#include "hub/hub_name.h"

#include <fnmatch.h>

#include <algorithm>

namespace octavo {

namespace {

constexpr size_t kMostName = 96;  // characters of a name, as the hub allows
constexpr size_t kMostPath = 4096;
constexpr size_t kMostComponent = 255;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_plain(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || also.find(c) != std::string_view::npos;
  });
}

// The hub's rule for one part of org/name.
bool is_name_part(std::string_view part) {
  if (part.empty() || part.size() > kMostName || !is_plain(part, "-_.")) return false;
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !edge(part.front()) && !edge(part.back()) && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos;
}

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= kMostComponent && text.front() != '-' &&
         is_plain(text, "-_./+") && hub::is_safe_path(text);
}

}  // namespace

namespace hub {

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_commit(std::string_view text) { return is_hex(text, 40); }

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kMostPath) return false;
  for (const char c : path) {
    if (c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  // An absolute path begins with an empty component, one to a folder ends with one.
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == ".." || part.size() > kMostComponent) return false;
    at = end + 1;
  }
  return true;
}

bool is_safe_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name.front() != '.' && is_plain(name, "-_.");
}

std::string url_encoded(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    if (is_plain(std::string_view(&c, 1), "-_.~") || (c == '/' && keep_slashes)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

bool matches_glob(std::string_view path, std::string_view pattern) {
  return ::fnmatch(std::string(pattern).c_str(), std::string(path).c_str(), 0) == 0;
}

}  // namespace hub

Result<HubName> parse_hub_name(std::string_view text) {
  HubName name;
  const size_t at = text.find('@');
  const std::string_view repository = text.substr(0, at);
  const size_t slash = repository.find('/');
  const bool ok = slash != std::string_view::npos && is_name_part(repository.substr(0, slash)) &&
                  is_name_part(repository.substr(slash + 1));
  if (!ok)
    return Error{Code::invalid_input,
                 "\"" + std::string(text) +
                     "\" is no name of a model on the hub; one looks like "
                     "sentence-transformers/all-MiniLM-L6-v2 or org/name@revision"};
  name.repository = repository;
  if (at == std::string_view::npos) return name;
  name.revision = text.substr(at + 1);
  if (!is_revision(name.revision))
    return Error{Code::invalid_input, "\"" + std::string(text) + "\": \"" + name.revision +
                                          "\" is no revision; give a branch, a tag or a commit"};
  return name;
}

}  // namespace octavo
