#pragma once
// org/name[@revision] where a function takes a model: the snapshot in the hub's cache, downloaded
// first if need be, as the program does it.

#include <nanobind/nanobind.h>

#include <filesystem>
#include <string>

#include "octavo/hub.h"

namespace octavo::python {

// Needs the GIL, and is without it while it works. `file` is the model file that is wanted, "" for
// the usual ones; `progress` None or a callable (stage, done, total), called while a download goes
// on. Throws what that raises, KeyboardInterrupt, and the errors of resolve_model().
ModelSource model_path(const std::filesystem::path& model, HubWeights weights,
                       const nanobind::object& progress, const std::string& file = "");

}  // namespace octavo::python
