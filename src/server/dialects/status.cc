#include "server/dialects/status.h"

#include "server/json_output.h"
#include "server/service.h"

namespace octavo::server::status {

Reply failure(const Failure& failure) {
  return {Failure::status(failure.kind), "{\"error\":" + json_quoted(failure.message) + "}"};
}

void health(const std::shared_ptr<Call>& call) {
  if (!call->service().ready)
    return call->answer(failure({Kind::unavailable, "the server is stopping"}));
  call->answer({200, "{\"status\":\"ok\"}"});
}

void metrics(const std::shared_ptr<Call>& call) {
  call->answer({200, call->service().metrics.text(), "text/plain; version=0.0.4; charset=utf-8"});
}

}  // namespace octavo::server::status
