#pragma once
// config.json as an architecture reads it: numbers with bounds, errors that stick (see Checkpoint).

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/result.h"

namespace octavo::architectures {

class Config {
 public:
  explicit Config(const nlohmann::json& json) : json_(json) {}

  // Sizes: required, or with a fallback where the reference implementation has one; 1 .. 2^31 - 1.
  int64_t size(const char* key);
  // num_hidden_layers: 1 .. 4096, so that a broken file cannot make us write nodes without end.
  int64_t layers();
  int64_t size(const char* key, int64_t fallback);
  // A positive finite number.
  float number(const char* key, double fallback);
  bool flag(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  bool has(const char* key) const;  // there and not null
  bool is_null(const char* key) const;
  const nlohmann::json& json() const { return json_; }

  void fail(Error error) {
    if (status_) status_ = std::move(error);
  }
  void unsupported(const std::string& what) {
    fail(Error{Code::unsupported, "config.json: " + what});
  }
  void invalid(const std::string& what) {
    fail(Error{Code::invalid_input, "config.json: " + what});
  }
  const Status& status() const { return status_; }

 private:
  const nlohmann::json& json_;
  Status status_ = Done{};
};

}  // namespace octavo::architectures
