#include "conformance/case_file.h"

#include <cstring>

#include "base/cursor.h"
#include "base/mapped_file.h"

namespace octavo::conformance {

namespace {

Result<std::string_view> text(Cursor& in) {
  OCTAVO_TRY(const auto size, in.read<uint64_t>());
  return in.text(size);
}

Result<std::optional<Tensor>> value(Cursor& in) {
  OCTAVO_TRY(const auto kind, in.read<uint8_t>());
  if (kind == 0) return std::optional<Tensor>();
  OCTAVO_TRY(const auto dtype, in.read<int32_t>());
  OCTAVO_TRY(const auto rank, in.read<uint32_t>());
  Shape shape;
  for (uint32_t d = 0; d < rank; ++d) {
    OCTAVO_TRY(const auto dim, in.read<int64_t>());
    shape.push_back(dim);
  }
  OCTAVO_TRY(const auto size, in.read<uint64_t>());
  OCTAVO_TRY(const auto bytes, in.take(size));
  if (!is_known_dtype(dtype)) return std::optional<Tensor>();
  OCTAVO_TRY(Tensor t, Tensor::make(static_cast<DType>(dtype), shape));
  if (t.bytes().size() != bytes.size())
    return Error{Code::invalid_input, "bytes do not fit " + to_string(shape)};
  if (!bytes.empty()) std::memcpy(t.mutable_bytes().data(), bytes.data(), bytes.size());
  return std::optional<Tensor>(std::move(t));
}

Result<Values> values(Cursor& in) {
  OCTAVO_TRY(const auto count, in.read<uint32_t>());
  Values out;
  for (uint32_t i = 0; i < count; ++i) {
    OCTAVO_TRY(auto v, value(in));
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace

Result<std::vector<Case>> read_cases(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  Cursor in(mapped->bytes());
  OCTAVO_TRY(const auto magic, in.text(8));
  if (magic != "OCTCASE1") return Error{Code::invalid_input, "not a file of node cases"};
  OCTAVO_TRY(const auto count, in.read<uint32_t>());
  std::vector<Case> cases;
  for (uint32_t i = 0; i < count; ++i) {
    Case c;
    OCTAVO_TRY(const auto name, text(in));
    c.name = name;
    OCTAVO_TRY(const auto model, text(in));
    const auto* bytes = reinterpret_cast<const std::byte*>(model.data());
    c.model.assign(bytes, bytes + model.size());
    OCTAVO_TRY(c.rtol, in.read<double>());
    OCTAVO_TRY(c.atol, in.read<double>());
    OCTAVO_TRY(const auto sets, in.read<uint32_t>());
    for (uint32_t s = 0; s < sets; ++s) {
      DataSet set;
      OCTAVO_TRY(set.inputs, values(in));
      OCTAVO_TRY(set.outputs, values(in));
      c.data_sets.push_back(std::move(set));
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace octavo::conformance
