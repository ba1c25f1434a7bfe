#pragma once
// Files that the program carries, made of openapi.json and page/ in src/server at build time.

#include <string_view>

namespace octavo::server {

extern const std::string_view kOpenApi;
extern const std::string_view kPage;
// The Content-Security-Policy that goes with the page.
extern const std::string_view kPagePolicy;

}  // namespace octavo::server
