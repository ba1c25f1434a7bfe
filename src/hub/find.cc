// What the cache already holds.

#include "hub/find.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/mapped_file.h"
#include "base/out_of_memory.h"
#include "formats/snapshot_names.h"
#include "hub/cache.h"
#include "hub/hub_name.h"

namespace octavo {

namespace {

using namespace hub;

Error not_cached(const HubName& name, const HubSettings& settings, const std::string& what) {
  return {Code::not_found,
          name.repository + "@" + name.revision + ": " + what + " in the cache " +
              settings.cache.string() +
              (settings.offline ? ", and HF_HUB_OFFLINE forbids asking the hub; unset it, or copy "
                                  "the model's folder there from a machine that has it"
                                : "")};
}

// Files of whose existence nothing is known: another program may have got only some.
std::string unknown_files(const Cache& cache, const std::string& commit,
                          const std::vector<RepositoryFile>& files) {
  std::string out;
  for (const std::string name : kSnapshotNames) {
    const bool there = std::any_of(files.begin(), files.end(),
                                   [&](const RepositoryFile& file) { return file.path == name; });
    if (!there && !cache.known_absent(commit, name)) out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

Result<PullReport> find(const HubName& name, const PullOptions& options,
                        const HubSettings& settings) {
  const Cache cache(settings, name);
  const auto commit = cache.commit_of(name.revision);
  if (!commit) return not_cached(name, settings, "is not");
  const auto files = cache.files(*commit);
  if (files.empty()) return not_cached(name, settings, "is not");
  Result<Selection> chosen = select_files(files, options, name.repository);
  if (!chosen)
    return not_cached(name, settings,
                      "is there without what is wanted (" + chosen.error().message + ")");
  PullReport report;
  report.commit = *commit;
  report.folder = cache.snapshot(*commit);
  report.source = chosen->gguf.empty() ? report.folder : report.folder / chosen->gguf;
  std::vector<std::string> names = chosen->about;
  if (!chosen->index.empty()) {
    names.push_back(chosen->index);
    const auto shards = shards_in_file(report.folder / chosen->index, chosen->index, files);
    if (!shards) return not_cached(name, settings, "is there without some of its shards");
    names.insert(names.end(), shards->begin(), shards->end());
  }
  names.insert(names.end(), chosen->weights.begin(), chosen->weights.end());
  // A GGUF file says everything itself.
  const std::string unknown = chosen->gguf.empty() ? unknown_files(cache, *commit, files) : "";
  if (!unknown.empty() && !settings.offline)
    return not_cached(name, settings, "may lack " + unknown);
  if (!unknown.empty())
    report.notes.push_back(name.repository +
                           ": the cache does not tell whether the repository "
                           "has " +
                           unknown + "; used without");
  for (const RepositoryFile& file : files) {
    if (std::find(names.begin(), names.end(), file.path) != names.end())
      report.files.push_back({file.path, file.size, false});
  }
  return report;
}

}  // namespace

namespace hub {

Result<std::vector<std::string>> shards_in_file(const std::filesystem::path& file,
                                                const std::string& name,
                                                const std::vector<RepositoryFile>& files) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto bytes = mapped->bytes();
  return shards_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name, files);
}

}  // namespace hub

Result<PullReport> find_cached(const HubName& name, const PullOptions& options,
                               const HubSettings& settings) {
  return or_out_of_memory([&] { return find(name, options, settings); });
}

std::optional<HubName> hub_name_in(std::string_view argument) {
  for (const std::string_view extension :
       {".gguf", ".onnx", ".safetensors", ".json", ".jsonl", ".npz"}) {
    if (argument.ends_with(extension)) return std::nullopt;
  }
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(argument, error)))
    return std::nullopt;
  auto name = parse_hub_name(argument);
  if (!name) return std::nullopt;
  return *std::move(name);
}

}  // namespace octavo
