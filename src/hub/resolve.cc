// Where a command or a function takes a model.

#include <utility>

#include "base/result.h"
#include "octavo/hub.h"

namespace octavo {

Result<ModelSource> resolve_model(const std::string& argument, PullOptions options,
                                  const std::string& file, const Progress& progress) {
  const auto name = hub_name_in(argument);
  if (!name) return ModelSource{argument, {}};
  const std::string what = argument + ": no such file or folder, so taken for a model on the hub";
  OCTAVO_TRY(const HubSettings settings, hub_settings());
  // Its sidecars are called like it and a little more.
  if (!file.empty()) options.include = {file + "*"};
  auto got = get_model(*name, options, settings, progress);
  if (!got) return std::move(got).error().within(what);
  return ModelSource{std::move(got->source), std::move(got->notes)};
}

}  // namespace octavo
