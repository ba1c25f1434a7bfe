#pragma once
// What belongs to no dialect: GET /health, GET /metrics.

#include <memory>

#include "server/call.h"

namespace octavo::server::status {

Reply failure(const Failure& failure);

void health(const std::shared_ptr<Call>& call);
void metrics(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::status
