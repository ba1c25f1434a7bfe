#pragma once
// Writes one safetensors file front to back: the tensors are announced first, then their bytes come
// in the same order. The first dimension of the last tensor may be left open (-1): it becomes what
// was written by commit(), so that rows can be streamed without knowing how many there will be.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo {

struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

class SafetensorsWriter {
 public:
  // Errors: io, not_found (the folder), unsupported (a type the format has not).
  static Result<SafetensorsWriter> create(const std::filesystem::path& target,
                                          std::vector<TensorSpec> tensors,
                                          const std::map<std::string, std::string>& metadata = {});

  Status write(std::span<const std::byte> bytes);
  // Errors: io; internal when the bytes written are not those announced.
  Status commit();
  // The whole file under its temporary name, for a look at it before its commit(). The last call.
  Result<AtomicFile> finish();

 private:
  SafetensorsWriter(AtomicFile file, std::vector<TensorSpec> tensors,
                    std::map<std::string, std::string> metadata)
      : file_(std::move(file)), tensors_(std::move(tensors)), metadata_(std::move(metadata)) {}
  Result<std::string> header() const;

  AtomicFile file_;
  std::vector<TensorSpec> tensors_;
  std::map<std::string, std::string> metadata_;
  uint64_t header_size_ = 0;
  bool open_ended_ = false;
};

}  // namespace octavo
