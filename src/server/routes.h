#pragma once
// Every path there is, and who answers it.

#include <memory>
#include <span>
#include <string_view>

#include "server/call.h"

namespace octavo::server {

struct Route {
  std::string_view method;  // GET stands for HEAD, too
  std::string_view path;
  // Answers the call, now or later; on a worker, or at once where `light`.
  void (*handle)(const std::shared_ptr<Call>&);
  Reply (*fail)(const Failure&);  // errors in the form of its dialect
  bool light = false;             // no body, no work: answered even when all else is turned away
  bool open = false;              // no key is needed
};

std::span<const Route> routes();

// The route, or why there is none: not_found, or bad_method with the methods of the path.
Outcome<const Route*> find_route(std::string_view method, std::string_view path);
// How errors look below that path.
Reply (*failure_form(std::string_view path))(const Failure&);

}  // namespace octavo::server
