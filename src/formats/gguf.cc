#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/cursor.h"
#include "formats/json.h"
#include "formats/stored_tensor.h"

namespace octavo {

namespace {

constexpr uint32_t kMagic = 0x46554747;   // "GGUF"
constexpr uint64_t kMaxKeys = 100'000;    // real files have some 30
constexpr uint64_t kMaxName = 65'535;     // of a key, by the specification
constexpr uint64_t kMaxText = 64U << 20;  // a chat template is the longest text there is
constexpr uint64_t kMaxArrays = 100'000;  // nested ones, over the whole file
constexpr int kMaxDepth = 8;              // of arrays in arrays
constexpr uint32_t kMaxRank = 8;          // ggml itself has four dimensions
constexpr uint64_t kMaxAlignment = 1U << 20;
constexpr uint64_t kSmallestTensor = 8 + 1 + 4 + 4 + 8;  // bytes of a directory entry

Error invalid(std::string what) { return {Code::invalid_input, std::move(what)}; }

// Bytes of one number; 0 for texts and arrays.
uint64_t size_of(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    default:
      return 0;
  }
}

using Scalar = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

template <class T, class Wide>
Scalar widen(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return static_cast<Wide>(value);
}

// A number of a type with size_of() > 0.
Scalar decode(GgufType type, const std::byte* at) {
  switch (type) {
    case GgufType::u8:
      return widen<uint8_t, uint64_t>(at);
    case GgufType::i8:
      return widen<int8_t, int64_t>(at);
    case GgufType::u16:
      return widen<uint16_t, uint64_t>(at);
    case GgufType::i16:
      return widen<int16_t, int64_t>(at);
    case GgufType::u32:
      return widen<uint32_t, uint64_t>(at);
    case GgufType::i32:
      return widen<int32_t, int64_t>(at);
    case GgufType::f32:
      return widen<float, double>(at);
    case GgufType::u64:
      return widen<uint64_t, uint64_t>(at);
    case GgufType::i64:
      return widen<int64_t, int64_t>(at);
    case GgufType::f64:
      return widen<double, double>(at);
    default:
      return *at != std::byte{0};
  }
}

std::optional<int64_t> to_integer(const Scalar& v) {
  if (const auto* i = std::get_if<int64_t>(&v)) return *i;
  if (const auto* u = std::get_if<uint64_t>(&v); u != nullptr && *u <= INT64_MAX)
    return static_cast<int64_t>(*u);
  return std::nullopt;
}

std::optional<double> to_number(const Scalar& v) {
  if (const auto* d = std::get_if<double>(&v)) return *d;
  if (const auto* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<uint64_t>(&v)) return static_cast<double>(*u);
  return std::nullopt;
}

Result<std::string_view> read_text(Cursor& in, uint64_t most) {
  OCTAVO_TRY(const uint64_t length, in.read<uint64_t>());
  if (length > most)
    return invalid("a text of " + std::to_string(length) + " bytes at byte " +
                   std::to_string(in.position()) + "; " + std::to_string(most) + " are the most");
  return in.text(length);
}

Result<GgufType> read_type(Cursor& in) {
  OCTAVO_TRY(const uint32_t type, in.read<uint32_t>());
  if (type > static_cast<uint32_t>(GgufType::f64))
    return invalid("unknown value type " + std::to_string(type));
  return static_cast<GgufType>(type);
}

class ValueReader {
 public:
  explicit ValueReader(Cursor& in) : in_(in) {}

  Result<GgufValue> read(GgufType type, int depth) {
    if (type == GgufType::string) {
      OCTAVO_TRY(const auto text, read_text(in_, kMaxText));
      return GgufValue{type, text};
    }
    if (type == GgufType::array) {
      OCTAVO_TRY(GgufArray array, read_array(depth + 1));
      return GgufValue{type, std::move(array)};
    }
    OCTAVO_TRY(const auto bytes, in_.take(size_of(type)));
    return GgufValue{type, decode(type, bytes.data())};
  }

 private:
  Result<GgufArray> read_array(int depth) {
    if (depth > kMaxDepth) return invalid("arrays nested deeper than " + std::to_string(kMaxDepth));
    if (++arrays_ > kMaxArrays) return invalid("too many nested arrays");
    GgufArray array;
    OCTAVO_TRY(array.element, read_type(in_));
    OCTAVO_TRY(array.count, in_.read<uint64_t>());
    if (const uint64_t size = size_of(array.element); size != 0) {
      OCTAVO_TRY(const uint64_t bytes, checked_mul(array.count, size));
      OCTAVO_TRY(array.numbers, in_.take(bytes));
      return array;
    }
    // Every element takes at least its length: a count beyond that must not reserve memory.
    if (array.count > in_.remaining() / 8)
      return invalid("an array of " + std::to_string(array.count) + " elements in the last " +
                     std::to_string(in_.remaining()) + " bytes");
    if (array.element == GgufType::string) {
      array.texts.reserve(array.count);
      for (uint64_t i = 0; i < array.count; ++i) {
        OCTAVO_TRY(const auto text, read_text(in_, kMaxText));
        array.texts.push_back(text);
      }
      return array;
    }
    for (uint64_t i = 0; i < array.count; ++i) {
      OCTAVO_TRY(auto inner, read(GgufType::array, depth));
      array.arrays.push_back(std::move(inner));
    }
    return array;
  }

  Cursor& in_;
  uint64_t arrays_ = 0;
};

// Indexes sorted by what name(i) gives; the error names what is there twice.
template <class F>
Result<std::vector<uint32_t>> sorted_unique(size_t count, const char* kind, F name) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  for (size_t i = 1; i < count; ++i)
    if (name(order[i]) == name(order[i - 1]))
      return invalid(std::string("the ") + kind + " " + quote(name(order[i])) + " is there twice");
  return order;
}

template <class F>
size_t find_sorted(const std::vector<uint32_t>& order, std::string_view wanted, F name) {
  const auto at = std::lower_bound(order.begin(), order.end(), wanted,
                                   [&](uint32_t i, std::string_view w) { return name(i) < w; });
  return at == order.end() || name(*at) != wanted ? order.size() : *at;
}

Result<uint64_t> read_alignment(const Gguf& file) {
  const GgufValue* value = file.value("general.alignment");
  if (value == nullptr) return uint64_t{32};
  const auto alignment = value->integer();
  if (!alignment || *alignment <= 0 || static_cast<uint64_t>(*alignment) > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(*alignment)))
    return invalid("general.alignment is not a power of two of at most " +
                   std::to_string(kMaxAlignment));
  return static_cast<uint64_t>(*alignment);
}

struct Directory {
  WeightEntry entry;
  const GgmlType* type = nullptr;
  uint64_t offset = 0;
  uint64_t size = 0;
};

Result<Directory> read_directory_entry(Cursor& in) {
  Directory d;
  OCTAVO_TRY(const auto name, read_text(in, kMaxName));
  if (name.empty()) return invalid("a tensor without a name");
  d.entry.name = name;
  const auto bad = [&](const std::string& why) {
    return invalid("tensor " + quote(name) + ": " + why);
  };
  OCTAVO_TRY(const uint32_t rank, in.read<uint32_t>());
  if (rank > kMaxRank) return bad(std::to_string(rank) + " dimensions");
  d.entry.shape.resize(rank);
  for (uint32_t i = 0; i < rank; ++i) {
    OCTAVO_TRY(const uint64_t dim, in.read<uint64_t>());
    if (dim == 0 || dim > static_cast<uint64_t>(INT64_MAX))
      return bad("the dimension " + std::to_string(dim));
    d.entry.shape[rank - 1 - i] = static_cast<int64_t>(dim);  // the file has the innermost first
  }
  OCTAVO_TRY(const uint32_t type, in.read<uint32_t>());
  OCTAVO_TRY(d.offset, in.read<uint64_t>());
  auto count = element_count(d.entry.shape);
  if (!count) return bad(count.error().message);
  d.type = ggml_type(type);
  if (d.type == nullptr) {
    d.entry.stored_as = "ggml type " + std::to_string(type);
    return d;
  }
  d.entry.stored_as = d.type->name;
  const int64_t row = rank == 0 ? 1 : d.entry.shape.back();
  if (row % d.type->block != 0)
    return bad("rows of " + std::to_string(row) + " are no whole blocks of " +
               std::to_string(d.type->block) + " (" + d.entry.stored_as + ")");
  auto size = checked_mul(static_cast<uint64_t>(*count) / d.type->block, d.type->bytes);
  if (!size) return bad(size.error().message);
  d.size = *size;
  return d;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  static constexpr std::string_view kNames[] = {"u8",   "i8",   "u16",   "i16", "u32", "i32", "f32",
                                                "bool", "text", "array", "u64", "i64", "f64"};
  return kNames[static_cast<uint32_t>(type)];
}

std::optional<int64_t> GgufArray::integer(size_t i) const {
  const uint64_t size = size_of(element);
  return size == 0 ? std::nullopt : to_integer(decode(element, numbers.data() + i * size));
}
std::optional<double> GgufArray::number(size_t i) const {
  const uint64_t size = size_of(element);
  return size == 0 ? std::nullopt : to_number(decode(element, numbers.data() + i * size));
}

std::optional<int64_t> GgufValue::integer() const { return to_integer(value); }
std::optional<double> GgufValue::number() const { return to_number(value); }
std::optional<bool> GgufValue::boolean() const {
  const auto* b = std::get_if<bool>(&value);
  return b == nullptr ? std::nullopt : std::optional(*b);
}
std::optional<std::string_view> GgufValue::text() const {
  const auto* t = std::get_if<std::string_view>(&value);
  return t == nullptr ? std::nullopt : std::optional(*t);
}
const GgufArray* GgufValue::array() const { return std::get_if<GgufArray>(&value); }

const GgufValue* Gguf::value(std::string_view key) const {
  const size_t at = find_sorted(keys_, key, [&](uint32_t i) { return metadata_[i].first; });
  return at == keys_.size() ? nullptr : &metadata_[at].second;
}
std::optional<int64_t> Gguf::integer(std::string_view key) const {
  const GgufValue* v = value(key);
  return v == nullptr ? std::nullopt : v->integer();
}
std::optional<double> Gguf::number(std::string_view key) const {
  const GgufValue* v = value(key);
  return v == nullptr ? std::nullopt : v->number();
}
std::optional<bool> Gguf::boolean(std::string_view key) const {
  const GgufValue* v = value(key);
  return v == nullptr ? std::nullopt : v->boolean();
}
std::optional<std::string_view> Gguf::text(std::string_view key) const {
  const GgufValue* v = value(key);
  return v == nullptr ? std::nullopt : v->text();
}
const GgufArray* Gguf::array(std::string_view key) const {
  const GgufValue* v = value(key);
  return v == nullptr ? nullptr : v->array();
}

Result<std::shared_ptr<const Gguf>> Gguf::open(const std::filesystem::path& path) {
  OCTAVO_TRY(FileBytes file, FileBytes::open(path));
  return parse(std::move(file), path.string());
}

Result<std::shared_ptr<const Gguf>> Gguf::parse(FileBytes file, const std::string& name) {
  auto gguf = std::make_shared<Gguf>();
  gguf->name_ = name;
  gguf->file_ = std::move(file);
  OCTAVO_CHECK(gguf->read().within(name));
  return std::shared_ptr<const Gguf>(std::move(gguf));
}

Status Gguf::read() {
  Cursor in(file_.bytes);
  OCTAVO_TRY(const uint32_t magic, in.read<uint32_t>());
  if (magic != kMagic) return invalid("is not a GGUF file");
  OCTAVO_TRY(const uint32_t version, in.read<uint32_t>());
  if ((version & 0xffffU) == 0)
    return Error{Code::unsupported,
                 "a big-endian GGUF file; convert it with gguf-convert-endian of the gguf package"};
  if (version != 2 && version != 3)
    return Error{Code::unsupported, "GGUF version " + std::to_string(version) +
                                        "; versions 2 and 3 can be read: convert the model again"};
  OCTAVO_TRY(const uint64_t tensors, in.read<uint64_t>());
  OCTAVO_TRY(const uint64_t keys, in.read<uint64_t>());
  if (keys > kMaxKeys) return invalid(std::to_string(keys) + " metadata keys");

  ValueReader values(in);
  for (uint64_t i = 0; i < keys; ++i) {
    OCTAVO_TRY(const auto key, read_text(in, kMaxName).within("metadata key " + std::to_string(i)));
    if (key.empty()) return invalid("metadata key " + std::to_string(i) + " is empty");
    OCTAVO_TRY(const auto type, read_type(in).within(quote(key)));
    OCTAVO_TRY(auto value, values.read(type, 0).within(quote(key)));
    metadata_.emplace_back(key, std::move(value));
  }
  OCTAVO_TRY(keys_, sorted_unique(metadata_.size(), "metadata key",
                                  [&](uint32_t i) { return metadata_[i].first; }));
  OCTAVO_TRY(const uint64_t alignment, read_alignment(*this));

  if (tensors > in.remaining() / kSmallestTensor)
    return invalid(std::to_string(tensors) + " tensors in the last " +
                   std::to_string(in.remaining()) + " bytes");
  entries_.reserve(tensors);
  places_.reserve(tensors);
  for (uint64_t i = 0; i < tensors; ++i) {
    OCTAVO_TRY(Directory d, read_directory_entry(in).within("tensor " + std::to_string(i)));
    if (d.offset % alignment != 0)
      return invalid("tensor " + quote(d.entry.name) + ": its offset " + std::to_string(d.offset) +
                     " is no multiple of the alignment " + std::to_string(alignment));
    entries_.push_back(std::move(d.entry));
    places_.push_back({d.type, d.offset, d.size});
  }
  OCTAVO_TRY(names_, sorted_unique(entries_.size(), "tensor", [&](uint32_t i) -> std::string_view {
               return entries_[i].name;
             }));

  const uint64_t start = (in.position() + alignment - 1) / alignment * alignment;
  const uint64_t end = file_.bytes.size();
  data_ = start >= end ? file_.part(end, 0) : file_.part(start, end - start);
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto& [type, offset, size] = places_[i];
    if (offset > data_.bytes.size() || size > data_.bytes.size() - offset)
      return invalid("tensor " + quote(entries_[i].name) + ": " + std::to_string(size) +
                     " bytes at " + std::to_string(offset) + " of the data, which has " +
                     std::to_string(data_.bytes.size()) + "; the file is cut short or damaged");
  }
  return Done{};
}

const WeightEntry* Gguf::find(std::string_view name) const {
  const size_t at =
      find_sorted(names_, name, [&](uint32_t i) -> std::string_view { return entries_[i].name; });
  return at == names_.size() ? nullptr : &entries_[at];
}

Result<size_t> Gguf::place_of(std::string_view name) const {
  const WeightEntry* entry = find(name);
  if (entry == nullptr) return Error{Code::not_found, name_ + ": no tensor " + quote(name)};
  return static_cast<size_t>(entry - entries_.data());
}

Error Gguf::about(size_t index, Error error) const {
  return std::move(error).within(name_ + ": tensor " + quote(entries_[index].name));
}

Result<Tensor> Gguf::load(std::string_view name) const {
  OCTAVO_TRY(const size_t at, place_of(name));
  const GgmlType* type = places_[at].type;
  const FileBytes data = data_of(at);
  const Shape& shape = entries_[at].shape;
  if (type == nullptr || (type->plain == DType::undefined && type->dequantize == nullptr))
    return about(
        at, {Code::unsupported, "is stored as " + entries_[at].stored_as +
                                    "; these can be read: " + std::string(readable_ggml_types())});
  auto tensor = type->plain != DType::undefined ? tensor_as_f32(type->plain, shape, data)
                                                : Tensor::make(DType::f32, shape);
  if (!tensor) return about(at, std::move(tensor).error());
  if (type->dequantize != nullptr) {
    type->dequantize(data.bytes.data(), data.bytes.size() / type->bytes,
                     tensor->mutable_data<float>());
    data.drop();
  }
  if (auto finite = check_finite(tensor->values<float>()); !finite)
    return about(at, std::move(finite).error());
  return tensor;
}

Result<Tensor> Gguf::load_as_stored(std::string_view name) const {
  OCTAVO_TRY(const size_t at, place_of(name));
  const GgmlType* type = places_[at].type;
  const FileBytes data = data_of(at);
  if (type == nullptr || type->plain == DType::undefined)
    return about(at, {Code::unsupported,
                      "is stored as " + entries_[at].stored_as + ", which is no element type"});
  auto tensor = tensor_as_stored(type->plain, entries_[at].shape, data);
  if (!tensor) return about(at, std::move(tensor).error());
  return tensor;
}

}  // namespace octavo
