#pragma once
// ONNX files <-> Model. Reading maps the sidecar and copies none of it; unknown fields, functions
// and metadata survive a round trip. External data is opened only inside the model's folder (or the
// blobs folder of a Hugging Face cache layout): docs/security.md has the rules.
// Spec: onnx/docs/IR.md, onnx/docs/ExternalData.md.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "graph/graph.h"

namespace octavo {

struct OnnxReadOptions {
  // Also refuse sidecars with more than one hard link (caches make them): `inspect --strict`.
  bool strict = false;
};

// Errors name the file, and the node or initializer: not_found, io, invalid_input (not protobuf,
// bad dims, data that does not fit its shape, a location outside the folder, ...), unsupported. The
// result has passed check().
Result<Model> read_onnx(const std::filesystem::path& file, const OnnxReadOptions& options = {});

// The same for bytes in memory (they are copied out); external data is looked up in `folder`.
Result<Model> parse_onnx(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                         const OnnxReadOptions& options = {});

struct OnnxSidecar {
  std::filesystem::path path;
  uint64_t size = 0;
  uint64_t used = 0;  // bytes that some tensor lies in; the rest is alignment, or left over
  uint64_t tensors = 0;
};

struct OnnxFile {
  Model model;
  uint64_t size = 0;  // of the model file itself
  std::vector<OnnxSidecar> sidecars;
};

// read_onnx() with what it saw on the way.
Result<OnnxFile> open_onnx(const std::filesystem::path& file, const OnnxReadOptions& options = {});

struct OnnxWriteOptions {
  bool external_data = false;  // forced on when the model would pass protobuf's 2 GB
  std::string location = {};   // name of the sidecar beside the model; empty: "<file name>.data"
  size_t threshold = 1024;     // smaller initializers stay in the model file
  size_t alignment = 64;       // of each tensor's offset in the sidecar
  uint64_t inline_limit = 0x7fffffff;  // bytes that protobuf can hold; tests lower it
  // What the model was read from (source_files()): the sidecar of a model that stays is never
  // replaced. Empty: nothing on disk is needed any more.
  std::vector<std::filesystem::path> sources = {};
};

// The model file, then its sidecars.
std::vector<std::filesystem::path> source_files(const std::filesystem::path& file,
                                                const OnnxFile& onnx);

// Whether write_onnx() could begin: the folder takes files, nothing of options.sources would be
// lost. For callers whose model takes long to make. Errors: as write_onnx().
Status check_onnx_output(const std::filesystem::path& file, const OnnxWriteOptions& options);

// Writes the model, and with external_data its sidecar: both appear together and whole, or neither.
// An old sidecar of the same name is replaced, never appended to, and removed when the model that
// was here named it and the new one has none. Initializers are computed (and dropped) one at a
// time, in order. Same model, same bytes. Errors: io, not_found, unsupported; invalid_input when a
// file of options.sources would be lost.
Status write_onnx(const Model& model, const std::filesystem::path& file,
                  const OnnxWriteOptions& options = {}, const Progress& progress = {});

}  // namespace octavo
