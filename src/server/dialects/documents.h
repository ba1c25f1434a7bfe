#pragma once
// What is the same for everybody, and needs no key: GET /openapi.json, and GET /, a page to try the
// server with.

#include <memory>

#include "server/call.h"

namespace octavo::server::documents {

void openapi(const std::shared_ptr<Call>& call);
void page(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::documents
