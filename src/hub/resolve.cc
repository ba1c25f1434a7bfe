// Where a command or a function takes a model.

#include <system_error>
#include <utility>

#include "base/result.h"
#include "octavo/hub.h"

namespace octavo {

Result<ModelSource> resolve_model(const std::string& argument, PullOptions options,
                                  const std::string& file, const Progress& progress) {
  const auto name = hub_name_in(argument);
  std::error_code none;
  const auto kind = std::filesystem::status(argument, none).type();
  if (!name && kind == std::filesystem::file_type::not_found)
    return Error{Code::not_found,
                 argument + ": no such file or folder; a model on the hub is called org/name"};
  if (!name && kind == std::filesystem::file_type::none)  // not readable, a circle of links
    return Error{Code::io, argument + ": " + none.message()};
  if (!name) return ModelSource{argument, {}};
  const std::string what = argument + ": no such file or folder, so taken for a model on the hub";
  OCTAVO_TRY(const HubSettings settings, hub_settings());
  // Its sidecars are called like it and a little more. A path of this machine is not on the hub.
  const bool here =
      file.find('/') != std::string::npos && std::filesystem::is_regular_file(file, none);
  if (!file.empty() && !here) options.include = {file + "*"};
  auto got = get_model(*name, options, settings, progress);
  if (!got) return std::move(got).error().within(what);
  return ModelSource{std::move(got->source), std::move(got->notes)};
}

}  // namespace octavo
