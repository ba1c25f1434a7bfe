#pragma once
// nlohmann-json behind limits: untrusted text is refused when it is larger than `max_bytes`, nested
// deeper than 64, has a duplicate key, or is not UTF-8; a NaN or huge number is an error as well.
// Nothing here throws or recurses, whatever the text.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

constexpr size_t kMaxJsonBytes = size_t{256} << 20;
constexpr size_t kMaxJsonDepth = 64;

// `name` is what error messages call the text (a file name); they give the byte.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& name,
                                  size_t max_bytes = kMaxJsonBytes);
// Errors: as above, not_found, io.
Result<nlohmann::json> read_json(const std::filesystem::path& file);

// Receives a text value by value, for files whose document would be many times their size. A member
// function returns false to stop; `problem` then says why. Duplicate keys are the receiver's to
// see.
struct JsonReceiver : nlohmann::json_sax<nlohmann::json> {
  std::string problem;

 protected:
  bool stop(std::string why) {
    problem = std::move(why);
    return false;
  }
  // Only binary formats have these, and only parse_json_into() speaks of errors.
  bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    return stop(error.what());
  }
};
Status parse_json_into(std::string_view text, const std::string& name, JsonReceiver& receiver,
                       size_t max_bytes = kMaxJsonBytes);

// The document as text, keys sorted, ending in a newline. Errors: a string that is not UTF-8.
Result<std::string> json_text(const nlohmann::json& document, int indent = 2);

// obj[key] when it is there (and not null) and of that kind, else the fallback; never throws.
int64_t json_int(const nlohmann::json& object, const char* key, int64_t fallback);
double json_double(const nlohmann::json& object, const char* key, double fallback);
bool json_bool(const nlohmann::json& object, const char* key, bool fallback);
std::string json_string(const nlohmann::json& object, const char* key, const std::string& fallback);

// A name out of a file, fit for an error message: in quotes, control characters escaped, cut at 200
// bytes.
std::string quote(std::string_view name);

}  // namespace octavo
