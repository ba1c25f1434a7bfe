#include "server/api_keys.h"

namespace octavo::server {

bool same_secret(std::string_view secret, std::string_view offered) {
  // Volatile: a compiler that saw the first difference would be allowed to stop there.
  volatile unsigned char difference = secret.size() == offered.size() ? 0 : 1;
  for (size_t i = 0; i < offered.size(); ++i) {
    const char wanted = secret.empty() ? '\0' : secret[i % secret.size()];
    difference = static_cast<unsigned char>(
        difference | (static_cast<unsigned char>(wanted) ^ static_cast<unsigned char>(offered[i])));
  }
  return difference == 0 && !secret.empty();
}

bool ApiKeys::accepts(std::string_view offered) const {
  bool any = !needed();
  for (const std::string& key : keys_) {
    const bool same = same_secret(key, offered);
    any = any || same;
  }
  return any;
}

}  // namespace octavo::server
