#include "hub/selection.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "formats/json.h"
#include "formats/snapshot_names.h"
#include "hub/hub_name.h"

namespace octavo::hub {

namespace {

constexpr const char* kSafetensors = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
// What embed takes when it is not told, in its order.
constexpr std::array kOnnx{"model.int8.onnx", "model.onnx", "onnx/model.onnx"};
constexpr size_t kShown = 12;

using Files = std::vector<RepositoryFile>;

bool has(const Files& files, const std::string& path) {
  const auto at = std::lower_bound(
      files.begin(), files.end(), path,
      [](const RepositoryFile& file, const std::string& name) { return file.path < name; });
  return at != files.end() && at->path == path;
}

// One of the usual names, or the config of a sentence-transformers module ("2_Dense/config.json").
bool is_about(const std::string& path) {
  if (std::find(kSnapshotNames.begin(), kSnapshotNames.end(), path) != kSnapshotNames.end())
    return true;
  return path.size() > 2 && path[0] >= '0' && path[0] <= '9' && path[1] == '_' &&
         path.ends_with("/config.json") && std::count(path.begin(), path.end(), '/') == 1;
}

std::vector<std::string> ending(const Files& files, std::string_view extension) {
  std::vector<std::string> out;
  for (const RepositoryFile& file : files) {
    if (file.path.ends_with(extension)) out.push_back(file.path);
  }
  return out;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < names.size() && i < kShown; ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) out += ", and " + std::to_string(names.size() - kShown) + " more";
  return out;
}

// The model and the files that its tensors may be in: model.onnx.data, model.onnx_data_1.
void add_onnx(const Files& files, const std::string& model, Selection& out) {
  for (const RepositoryFile& file : files) {
    if (file.path == model || file.path.starts_with(model + ".data") ||
        file.path.starts_with(model + "_data"))
      out.weights.push_back(file.path);
  }
}

bool select_safetensors(const Files& files, Selection& out) {
  if (has(files, kSafetensors)) {
    out.weights = {kSafetensors};
  } else if (has(files, kIndex)) {
    out.index = kIndex;
  }
  return !out.weights.empty() || !out.index.empty();
}

bool select_onnx(const Files& files, Selection& out) {
  for (const char* model : kOnnx) {
    if (!has(files, model)) continue;
    add_onnx(files, model, out);
    return true;
  }
  return false;
}

Error nothing(const Files& files, const PullOptions& options, const std::string& repository) {
  const auto onnx = ending(files, ".onnx");
  const bool snapshot = has(files, kSafetensors) || has(files, kIndex);
  if (options.weights == HubWeights::onnx && (snapshot || !ending(files, ".gguf").empty()))
    return {Code::unsupported,
            repository + ": has no ONNX model" +
                (onnx.empty() ? "" : " of the usual name (" + listed(onnx) + ")") +
                "; make one: octavo build " + repository + " -o DIR"};
  if (!onnx.empty())
    return {Code::unsupported, repository + ": has only ONNX models" +
                                   (options.weights == HubWeights::importable
                                        ? ", which need no import"
                                        : " of other names; choose with octavo pull --include") +
                                   ": " + listed(onnx)};
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (has(files, pickle))
      return {Code::unsupported,
              repository +
                  ": its weights are in pytorch_model.bin, a pickle, which may run code "
                  "when it is read; convert it with transformers: "
                  "AutoModel.from_pretrained(\"" +
                  repository + "\").save_pretrained(DIR, safe_serialization=True)"};
  }
  return {Code::unsupported,
          repository + ": has neither safetensors nor ONNX nor GGUF files that are a model"};
}

}  // namespace

Result<Selection> select_files(const Files& files, const PullOptions& options,
                               const std::string& repository) {
  Selection out;
  for (const RepositoryFile& file : files) {
    if (is_about(file.path)) out.about.push_back(file.path);
  }
  if (!options.include.empty()) {
    for (const std::string& pattern : options.include) {
      bool any = false;
      for (const RepositoryFile& file : files) {
        if (!matches_glob(file.path, pattern)) continue;
        any = true;
        out.weights.push_back(file.path);
      }
      if (any) continue;
      std::vector<std::string> all;
      for (const RepositoryFile& file : files) all.push_back(file.path);
      return Error{Code::not_found, repository + ": no file matches " + quote(pattern) +
                                        "; there are " + listed(all)};
    }
    std::sort(out.weights.begin(), out.weights.end());
    out.weights.erase(std::unique(out.weights.begin(), out.weights.end()), out.weights.end());
    std::erase_if(out.weights, is_about);
    if (std::find(out.weights.begin(), out.weights.end(), kIndex) != out.weights.end()) {
      out.index = kIndex;
      std::erase(out.weights, kIndex);
    }
    if (out.weights.size() == 1 && out.weights[0].ends_with(".gguf")) out.gguf = out.weights[0];
    return out;
  }
  const HubWeights kind = options.weights;
  if (kind != HubWeights::onnx && select_safetensors(files, out)) return out;
  if (kind != HubWeights::importable && select_onnx(files, out)) return out;
  const auto ggufs = ending(files, ".gguf");
  if (kind == HubWeights::onnx || ggufs.empty()) return nothing(files, options, repository);
  if (ggufs.size() > 1)
    return Error{Code::unsupported, repository + ": has " + std::to_string(ggufs.size()) +
                                        " GGUF files; choose one with octavo pull " + repository +
                                        " --include NAME and give the file: " + listed(ggufs)};
  out.weights = ggufs;
  out.gguf = ggufs[0];
  return out;
}

Result<std::vector<std::string>> shards_of(const std::string& index, const std::string& name,
                                           const Files& files) {
  OCTAVO_TRY(const nlohmann::json document, parse_json(index, name));
  const auto map = document.is_object() ? document.find("weight_map") : document.end();
  if (!document.is_object() || map == document.end() || !map->is_object())
    return Error{Code::invalid_input, name + ": has no weight_map"};
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !has(files, shard.get<std::string>()))
      return Error{Code::invalid_input, name + ": tensor " + quote(tensor) +
                                            " is in a file that the repository does not have"};
    shards.insert(shard.get<std::string>());
  }
  return std::vector<std::string>(shards.begin(), shards.end());
}

}  // namespace octavo::hub
