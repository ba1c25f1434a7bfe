#pragma once
// Keys that open the server. Comparing takes the same time whatever is wrong with the one offered.

#include <string>
#include <string_view>
#include <vector>

namespace octavo::server {

class ApiKeys {
 public:
  explicit ApiKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {}
  // No keys: everybody may.
  bool needed() const { return !keys_.empty(); }
  bool accepts(std::string_view offered) const;

 private:
  std::vector<std::string> keys_;
};

// Whether both are the same, in a time that depends on the length of the offered one alone.
bool same_secret(std::string_view secret, std::string_view offered);

}  // namespace octavo::server
