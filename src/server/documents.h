#pragma once
// Files that the program carries: made of src/server/openapi.json at build time.

#include <string_view>

namespace octavo::server {

extern const std::string_view kOpenApi;

}  // namespace octavo::server
