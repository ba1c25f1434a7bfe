#include "python/model_path.h"

#include "python/errors.h"
#include "python/progress.h"

namespace octavo::python {

ModelSource model_path(const std::filesystem::path& model, HubWeights weights,
                       const nb::object& progress, const std::string& file) {
  const std::string argument = model.string();
  if (!hub_name_in(argument)) return value_of(resolve_model(argument, {}, file));  // asks nobody
  return value_of(run_beside(progress, [&](const Progress& report, std::stop_token stop) {
    return resolve_model(argument, {.weights = weights, .stop = std::move(stop)}, file, report);
  }));
}

}  // namespace octavo::python
