#pragma once
// org/name[@revision] where a function takes a model: the snapshot in the hub's cache.

#include <string>

#include "octavo/hub.h"

namespace octavo::python {

// A path stays as it is. A hub name becomes its cached snapshot; nothing is downloaded: that needs
// libcurl, whose own dependencies (Kerberos, LDAP) no wheel should carry. Notes are what the reader
// should know. Errors: not_found, saying how to get the model there.
Result<std::string> model_path(const std::string& model, HubWeights weights,
                               std::vector<std::string>& notes);

}  // namespace octavo::python
