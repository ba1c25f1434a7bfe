#pragma once
// One JSON object a request, in one line, without anything that was in its body.

#include <string>
#include <string_view>

#include "server/call.h"

namespace octavo::server {

struct AccessEntry {
  std::string_view client;  // address
  std::string_view method;
  std::string_view path;
  unsigned status = 0;
  size_t bytes_in = 0;   // of the body
  size_t bytes_out = 0;  // of the answer's
  double seconds = 0;
  bool cancelled = false;  // the client left first
  const CallFacts* facts = nullptr;
};

// With the time of now, in UTC. A method or path beyond 200 bytes is cut.
std::string access_line(const AccessEntry& entry);

}  // namespace octavo::server
