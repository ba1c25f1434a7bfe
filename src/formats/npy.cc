#include "formats/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/cursor.h"
#include "formats/json.h"
#include "formats/npy_header.h"
#include "formats/stored_tensor.h"

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

// Reads the Python literal of the header: a dict of text, True/False and a tuple of integers.
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}
  bool eat(char c) {
    skip();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool eat(std::string_view word) {
    skip();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool text(std::string_view& out) {
    skip();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return false;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return false;
    out = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool number(int64_t& out) {
    skip();
    const auto got = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (got.ec != std::errc{} || out < 0) return false;
    rest_.remove_prefix(static_cast<size_t>(got.ptr - rest_.data()));
    return true;
  }
  bool at_end() {
    skip();
    return rest_.empty();
  }

 private:
  void skip() {
    while (!rest_.empty() && std::strchr(" \t\r\n", rest_[0]) != nullptr && rest_[0] != '\0')
      rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

struct Header {
  std::string_view descr;
  bool fortran = false;
  Shape shape;
};

bool parse_shape(Literal& in, Shape& shape) {
  if (!in.eat('(')) return false;
  while (!in.eat(')')) {
    int64_t d = 0;
    if (shape.size() == 32 || !in.number(d)) return false;  // numpy's own limit was 32
    shape.push_back(d);
    if (!in.eat(',')) return in.eat(')');
  }
  return true;
}

bool parse_header(std::string_view text, Header& header) {
  Literal in(text);
  int seen = 0;
  if (!in.eat('{')) return false;
  while (!in.eat('}')) {
    std::string_view key;
    if (!in.text(key) || !in.eat(':')) return false;
    int bit = 0;
    if (key == "descr") {
      bit = 1;
      if (!in.text(header.descr)) return false;
    } else if (key == "fortran_order") {
      bit = 2;
      header.fortran = in.eat("True");
      if (!header.fortran && !in.eat("False")) return false;
    } else if (key == "shape") {
      bit = 4;
      if ((seen & 4) != 0 || !parse_shape(in, header.shape)) return false;
    }
    if (bit == 0 || (seen & bit) != 0) return false;
    seen |= bit;
    if (!in.eat(',')) {
      if (!in.eat('}')) return false;
      break;
    }
  }
  return seen == 7 && in.at_end();
}

Result<Tensor> parse_npy(const FileBytes& file) {
  Cursor cursor(file.bytes);
  OCTAVO_TRY(const auto magic, cursor.text(6));
  if (magic != kMagic) return Error{Code::invalid_input, "is not an npy file"};
  OCTAVO_TRY(const auto major, cursor.read<uint8_t>());
  OCTAVO_TRY(const auto minor, cursor.read<uint8_t>());
  if (major < 1 || major > 3 || minor != 0)
    return Error{Code::unsupported,
                 "npy version " + std::to_string(major) + "." + std::to_string(minor)};
  uint32_t length = 0;
  if (major == 1) {
    OCTAVO_TRY(length, cursor.read<uint16_t>());
  } else {
    OCTAVO_TRY(length, cursor.read<uint32_t>());
  }
  OCTAVO_TRY(const auto text, cursor.text(length).within("the header"));
  Header header;
  if (!parse_header(text, header))
    return Error{Code::invalid_input, "the header " + quote(text) + " is damaged"};
  if (header.fortran)
    return Error{Code::unsupported, "an array in Fortran order; save numpy.ascontiguousarray(x)"};
  for (const NpyType& t : kTypes) {
    if (t.descr != header.descr) continue;
    OCTAVO_TRY(const size_t size, byte_count(t.dtype, header.shape));
    OCTAVO_TRY(const auto bytes, cursor.take(size).within("the data"));
    if (cursor.remaining() != 0)
      return Error{Code::invalid_input,
                   std::to_string(cursor.remaining()) + " bytes too many after the data"};
    return tensor_as_stored(t.dtype, header.shape, {bytes, file.keeper, file.mapped});
  }
  return Error{Code::unsupported, "the element type " + quote(header.descr)};
}

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

Result<Tensor> read_npy(const std::filesystem::path& file) {
  OCTAVO_TRY(const FileBytes bytes, FileBytes::open(file));
  return parse_npy(bytes).within(file.string());
}

}  // namespace octavo
