#include "formats/npy.h"

#include <array>
#include <string_view>
#include <utility>

#include "formats/npy_header.h"

namespace octavo {

namespace {

struct NpyType {
  std::string_view descr;
  DType dtype;
};
constexpr std::array kTypes{
    NpyType{"<f4", DType::f32}, NpyType{"<f8", DType::f64}, NpyType{"<f2", DType::f16},
    NpyType{"<i8", DType::i64}, NpyType{"<i4", DType::i32}, NpyType{"<i2", DType::i16},
    NpyType{"|i1", DType::i8},  NpyType{"<u8", DType::u64}, NpyType{"<u4", DType::u32},
    NpyType{"<u2", DType::u16}, NpyType{"|u1", DType::u8},  NpyType{"|b1", DType::boolean},
};

constexpr std::string_view kMagic("\x93NUMPY", 6);

}  // namespace

Result<std::string> npy_header(DType dtype, const Shape& shape) {
  constexpr size_t kDigits = 21;
  for (const NpyType& t : kTypes) {
    if (t.dtype != dtype) continue;
    std::string text =
        "{'descr': '" + std::string(t.descr) + "', 'fortran_order': False, 'shape': (";
    for (size_t i = 0; i < shape.size(); ++i)
      text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    text += shape.size() == 1 ? ",), }" : "), }";
    if (!shape.empty()) text += std::string(kDigits - std::to_string(shape[0]).size(), ' ');
    // The data begins at a multiple of 64; magic, version and length take 10 bytes, a newline ends
    // the header.
    text += std::string((64 - (text.size() + 11) % 64) % 64, ' ') + "\n";
    const auto length = static_cast<uint16_t>(text.size());
    return std::string(kMagic) + std::string("\1\0", 2) +
           std::string{static_cast<char>(length & 0xff), static_cast<char>(length >> 8)} + text;
  }
  return Error{Code::unsupported, "npy has no element type " + std::string(dtype_name(dtype))};
}

Result<NpyWriter> NpyWriter::create(const std::filesystem::path& target, DType dtype, Shape row) {
  OCTAVO_TRY(const size_t row_bytes, byte_count(dtype, row).within(target.string()));
  Shape shape = row;
  shape.insert(shape.begin(), 0);
  OCTAVO_TRY(const std::string header, npy_header(dtype, shape).within(target.string()));
  OCTAVO_TRY(AtomicFile file, AtomicFile::create(target));
  OCTAVO_CHECK(file.write(header));
  return NpyWriter(std::move(file), dtype, std::move(row), row_bytes);
}

Status NpyWriter::append(std::span<const std::byte> rows) {
  if (row_bytes_ == 0 || rows.size() % row_bytes_ != 0)
    return Error{Code::internal, file_.target().string() + ": rows of " +
                                     std::to_string(row_bytes_) + " bytes, given " +
                                     std::to_string(rows.size())};
  rows_ += static_cast<int64_t>(rows.size() / row_bytes_);
  return file_.write(rows);
}

Status NpyWriter::commit() {
  Shape shape = row_;
  shape.insert(shape.begin(), rows_);
  OCTAVO_TRY(const std::string header, npy_header(dtype_, shape));
  OCTAVO_CHECK(file_.rewrite(0, std::as_bytes(std::span(header.data(), header.size()))));
  return file_.commit();
}

}  // namespace octavo
