#pragma once
// Writes NumPy's array files, streaming: one array (.npy), or several in an uncompressed zip
// (.npz). Spec: numpy/lib/format.py, and PKWARE's APPNOTE (zip64) for the archive.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo {

// Appends rows without knowing how many there will be: the header is written again at commit().
class NpyWriter {
 public:
  // row: the shape of one row ({} for a plain vector). Errors: io, not_found (the folder),
  // unsupported (a type that numpy has not).
  static Result<NpyWriter> create(const std::filesystem::path& target, DType dtype, Shape row);
  // Errors: io; internal when the bytes are not whole rows.
  Status append(std::span<const std::byte> rows);
  int64_t rows() const { return rows_; }
  Status commit();

 private:
  NpyWriter(AtomicFile file, DType dtype, Shape row, size_t row_bytes)
      : file_(std::move(file)), dtype_(dtype), row_(std::move(row)), row_bytes_(row_bytes) {}
  AtomicFile file_;
  DType dtype_;
  Shape row_;
  size_t row_bytes_;
  int64_t rows_ = 0;
};

// Several named arrays, one after the other. The same arrays give the same bytes: no time stamps.
class NpzWriter {
 public:
  static Result<NpzWriter> create(const std::filesystem::path& target);
  // Starts the next array. A first dimension of -1 is as many rows as are written. Errors: as
  // NpyWriter::create; invalid_input for a name that is not plain ASCII; internal when the array
  // before it is not whole.
  Status begin(const std::string& name, DType dtype, const Shape& shape);
  Status write(std::span<const std::byte> bytes);
  Status commit();

 private:
  struct Member {
    std::string name;
    uint64_t offset = 0;
    std::string header;
    uint64_t size = 0;  // of the data behind the header
    uint32_t crc = 0;   // of the data; of both, like size, when finished
    bool finished = false;
  };
  explicit NpzWriter(AtomicFile file) : file_(std::move(file)) {}
  Status finish_member();
  AtomicFile file_;
  std::vector<Member> members_;
  DType dtype_ = DType::undefined;  // of the current array, as the rest below
  Shape shape_;
  bool open_ended_ = false;
  uint64_t unit_ = 0;  // bytes of the array, or of one row
};

}  // namespace octavo
