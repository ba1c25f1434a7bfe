#pragma once
// What is the same for everybody, and needs no key: GET /openapi.json.

#include <memory>

#include "server/call.h"

namespace octavo::server::documents {

void openapi(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::documents
