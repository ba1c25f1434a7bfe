// A Hugging Face snapshot: config.json, safetensors in one file or in shards, and the files that a
// runtime needs beside the model.

#include <string_view>
#include <system_error>

#include "base/mapped_file.h"
#include "embed/model_dir.h"
#include "formats/json.h"
#include "formats/snapshot_names.h"
#include "toolkit/snapshot.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFile = uint64_t{256} << 20;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);  // follows the links of a Hugging Face cache
}

Result<std::string> read_text(const fs::path& path) {
  OCTAVO_TRY(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  if (bytes.size() > kMaxFile)
    return Error{Code::invalid_input, path.string() + ": " + std::to_string(bytes.size()) +
                                          " bytes are too many for such a file"};
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// What is there instead of safetensors, to say what to do.
Error no_weights(const fs::path& folder) {
  std::string gguf;
  bool pickle = false;
  std::string other;
  std::string model;  // in ONNX, and not under an original's name
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path& path = entry.path();
    const std::string name = path.filename().string();
    if (path.extension() == ".gguf") gguf = path.string();
    if (path.extension() == ".onnx") model = name;
    if (path.extension() == ".bin" && name.starts_with("pytorch_model")) pickle = true;
    if (name == "tf_model.h5" || name == "flax_model.msgpack" || name == "rust_model.ot")
      other = name;
  }
  const std::string where = folder.string() + ": ";
  const std::string convert = "convert it with transformers: AutoModel.from_pretrained(\"" +
                              folder.string() + "\").save_pretrained(\"" + folder.string() +
                              "\", safe_serialization=True)";
  if (pickle)
    return {Code::unsupported,
            where +
                "the weights are in pytorch_model.bin, a pickle, which may run code when it is "
                "read; " +
                convert};
  if (!other.empty())
    return {Code::unsupported, where + "the weights are in " + other + "; " + convert};
  if (!gguf.empty())
    return {Code::not_found, where + "has no model.safetensors; give the file itself: " + gguf};
  if (const auto onnx = reference_model(folder))
    return {Code::unsupported,
            where +
                "has no weights to import, but an ONNX model; octavo smooth and octavo "
                "quantize take " +
                onnx->string()};
  if (!model.empty())
    return {Code::unsupported, where + "has no weights to import, but " + model +
                                   ", which octavo embed and octavo serve take; give the folder "
                                   "of the original model"};
  return {Code::not_found, where +
                               "has neither model.safetensors nor model.safetensors.index.json; "
                               "the download is not complete"};
}

}  // namespace

std::vector<std::string> snapshot_file_names() {
  return {kSnapshotNames.begin(), kSnapshotNames.end()};
}

Result<Snapshot> open_snapshot_folder(const fs::path& folder) {
  Snapshot snapshot;
  const bool single = is_file(folder / "model.safetensors");
  const bool sharded = is_file(folder / "model.safetensors.index.json");
  if (!is_file(folder / "config.json")) {
    if (!single && !sharded) {
      Error error = no_weights(folder);
      if (error.code != Code::not_found || error.message.find(".gguf") != std::string::npos)
        return error;
    }
    return Error{Code::not_found, folder.string() +
                                      ": has no config.json; give the folder of a Hugging Face "
                                      "snapshot (for an adapter, that of the merged model)"};
  }
  OCTAVO_TRY(snapshot.config, read_json(folder / "config.json"));
  if (!snapshot.config.is_object())
    return Error{Code::invalid_input, (folder / "config.json").string() + ": is not a JSON object"};
  if (!single && !sharded) return no_weights(folder);
  OCTAVO_TRY(
      snapshot.weights,
      open_safetensors(folder / (single ? "model.safetensors" : "model.safetensors.index.json")));
  for (const char* name : kSnapshotNames) {
    if (!is_file(folder / name)) continue;
    OCTAVO_TRY(snapshot.files[name], read_text(folder / name));
  }
  return snapshot;
}

}  // namespace octavo
