#pragma once
// Where a command takes a model folder it takes org/name[@revision], too: the cached snapshot of a
// model on the hub, pulled first if need be.

#include <string>

#include "octavo/hub.h"
#include "octavo/progress.h"

namespace octavo::cli {

// Puts the path of the snapshot (or of the GGUF file in it) in the place of a hub name; leaves
// everything else as it is. `file`: the model file that is wanted of it, "" for the usual ones.
// Errors: those of get_model().
Status resolve_model(std::string& argument, HubWeights weights, const std::string& file = "");

// A bar on stderr when that is a terminal, nothing otherwise.
Progress download_bar();

}  // namespace octavo::cli
