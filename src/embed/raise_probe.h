#pragma once
// The probe run that raising needs: every shape, and the values that do not depend on the tokens.

#include <cstdint>
#include <span>

#include "base/result.h"
#include "passes/raise.h"
#include "runtime/session.h"

namespace octavo {

// Runs the session's graph on one text of kProbeLength tokens made of `ids`, repeated as often as
// needed (at least one). Errors: what running meets.
Result<Probe> run_raise_probe(const Session& session, std::span<const int64_t> ids);

}  // namespace octavo
