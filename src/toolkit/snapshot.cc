#include "toolkit/snapshot.h"

#include <system_error>

namespace octavo {

namespace fs = std::filesystem;

Result<Snapshot> open_snapshot(const fs::path& source) {
  std::error_code error;
  const auto kind = fs::status(source, error).type();
  if (kind == fs::file_type::not_found)
    return Error{Code::not_found, source.string() +
                                      ": no such file or folder; give a Hugging Face "
                                      "snapshot folder or a *.gguf file"};
  if (kind == fs::file_type::directory) return open_snapshot_folder(source);
  if (source.extension() == ".gguf") return open_snapshot_gguf(source);
  if (source.extension() == ".safetensors" || source.filename() == "config.json")
    return Error{Code::invalid_input,
                 source.string() + ": is one file of a snapshot; give the folder it is in"};
  return Error{Code::invalid_input,
               source.string() + ": is neither a Hugging Face snapshot folder nor a *.gguf file"};
}

}  // namespace octavo
