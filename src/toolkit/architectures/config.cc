#include "toolkit/architectures/config.h"

#include <cmath>
#include <limits>

#include "formats/json.h"

namespace octavo::architectures {

bool Config::has(const char* key) const {
  const auto it = json_.find(key);
  return it != json_.end() && !it->is_null();
}

bool Config::is_null(const char* key) const {
  const auto it = json_.find(key);
  return it != json_.end() && it->is_null();
}

int64_t Config::size(const char* key) {
  if (!has(key)) {
    invalid("\"" + std::string(key) + "\" is missing");
    return 1;
  }
  return size(key, 1);
}

int64_t Config::size(const char* key, int64_t fallback) {
  if (!has(key)) return fallback;
  const int64_t value = json_int(json_, key, 0);
  if (value >= 1 && value <= std::numeric_limits<int32_t>::max()) return value;
  invalid("\"" + std::string(key) + "\" is " + json_[key].dump() + ", not a size");
  return 1;
}

int64_t Config::layers() {
  const int64_t value = size("num_hidden_layers");
  if (value <= 4096) return value;
  invalid("\"num_hidden_layers\" is " + std::to_string(value) + ", 4096 are the limit");
  return 1;
}

float Config::number(const char* key, double fallback) {
  if (!has(key)) return static_cast<float>(fallback);
  const auto value = static_cast<float>(json_double(json_, key, -1));
  if (value > 0 && std::isfinite(value)) return value;
  invalid("\"" + std::string(key) + "\" is " + json_[key].dump() + ", not a positive number");
  return 1;
}

bool Config::flag(const char* key, bool fallback) const { return json_bool(json_, key, fallback); }

std::string Config::text(const char* key, const std::string& fallback) const {
  return json_string(json_, key, fallback);
}

}  // namespace octavo::architectures
