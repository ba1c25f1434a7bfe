#pragma once
// The sidecars of an ONNX model. A model file is untrusted input that names other files, so every
// location goes through the rules here (docs/security.md has them with the attacks they answer):
// lexical rules first, then an open that cannot leave the folder, then type and bounds of the file.
// Spec: onnx/docs/ExternalData.md.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"

namespace octavo {

struct ExternalDataOptions {
  bool strict = false;        // refuse files with more than one hard link
  bool by_component = false;  // never use openat2 (tests of the fallback)
};

// What TensorProto.external_data says.
struct ExternalLocation {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

// Errors: no location, unknown or repeated keys, numbers that are not plain decimal.
Result<ExternalLocation> parse_external_location(
    const std::vector<std::pair<std::string, std::string>>& entries);

// The location as a clean relative path. Errors: empty, absolute, "..", backslash, drive letter,
// NUL, in-memory markers of ONNX Runtime, ...
Result<std::string> clean_location(const std::string& location);

class ExternalData {
 public:
  struct Slice {
    std::span<const std::byte> bytes;
    std::shared_ptr<const MappedFile> file;
  };

  // Sidecars of that model file: beside it as it was named, or beside what it is a symlink to, or
  // where a Hugging Face cache keeps it.
  static ExternalData of_model(const std::filesystem::path& model,
                               const ExternalDataOptions& options);
  // Sidecars in that folder. An empty path refuses every location.
  static ExternalData in_folder(const std::filesystem::path& folder,
                                const ExternalDataOptions& options);

  // `needed` bytes of the tensor at that place; nothing is read. Errors name the location.
  Result<Slice> slice(const ExternalLocation& where, uint64_t needed);
  // For element types we do not know: `length` bytes, which must be given.
  Result<Slice> slice_of_given_length(const ExternalLocation& where);

  struct Use {
    std::filesystem::path path;
    uint64_t size = 0;
    uint64_t used = 0;  // bytes in some slice, overlaps counted once
    uint64_t slices = 0;
  };
  std::vector<Use> uses() const;  // of every sidecar that was opened

 private:
  struct Sidecar {
    std::filesystem::path path;
    std::shared_ptr<const MappedFile> file;
    std::vector<std::pair<uint64_t, uint64_t>> slices;  // begin, end
  };
  Result<Sidecar*> map(const std::string& location);

  std::vector<std::filesystem::path> folders_;  // tried in this order
  ExternalDataOptions options_;
  std::map<std::string, Sidecar> sidecars_;
};

}  // namespace octavo
