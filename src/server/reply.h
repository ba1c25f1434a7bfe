#pragma once
// An answer before it is HTTP.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/failure.h"

namespace octavo::server {

struct Reply {
  unsigned status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::shared_ptr<void> room = {};  // its part of the memory for answers, until it is written
};

// The fields that a failure brings, whatever its dialect.
inline Reply with_fields(Reply reply, const Failure& failure) {
  if (failure.retry_after != 0)
    reply.fields.emplace_back("Retry-After", std::to_string(failure.retry_after));
  if (!failure.allow.empty()) reply.fields.emplace_back("Allow", failure.allow);
  if (failure.kind == Kind::unauthorized) reply.fields.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

}  // namespace octavo::server
