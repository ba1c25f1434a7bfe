#include "server/dialects/documents.h"

#include "server/documents.h"

namespace octavo::server::documents {

void openapi(const std::shared_ptr<Call>& call) { call->answer({200, std::string(kOpenApi)}); }

void page(const std::shared_ptr<Call>& call) {
  Reply reply{200, std::string(kPage), "text/html; charset=utf-8"};
  reply.fields = {{"Content-Security-Policy", std::string(kPagePolicy)},
                  {"X-Content-Type-Options", "nosniff"},
                  {"Referrer-Policy", "no-referrer"},
                  {"Cache-Control", "no-cache"}};
  call->answer(std::move(reply));
}

}  // namespace octavo::server::documents
