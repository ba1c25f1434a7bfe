#include "server/dialects/documents.h"

#include "server/documents.h"

namespace octavo::server::documents {

void openapi(const std::shared_ptr<Call>& call) { call->answer({200, std::string(kOpenApi)}); }

}  // namespace octavo::server::documents
