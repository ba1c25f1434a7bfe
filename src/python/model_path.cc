#include "python/model_path.h"

#include <utility>

namespace octavo::python {

Result<std::string> model_path(const std::string& model, HubWeights weights,
                               std::vector<std::string>& notes) {
  const auto name = hub_name_in(model);
  if (!name) return model;
  auto settings = hub_settings();
  if (!settings) return std::move(settings).error();
  // As if the hub had been switched off: a snapshot that may lack an optional file is used, and
  // the note says so.
  settings->offline = true;
  auto found = find_cached(*name, {.weights = weights, .include = {}}, *settings);
  if (found) {
    notes = std::move(found->notes);
    return found->source.string();
  }
  if (found.error().code != Code::not_found) return std::move(found).error().within(model);
  return Error{Code::not_found, model +
                                    ": no such file or folder, and no such model in the cache " +
                                    settings->cache.string() + "; get it with `octavo pull " +
                                    model + "` or `hf download " + name->repository + "`"};
}

}  // namespace octavo::python
