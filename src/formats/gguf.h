#pragma once
// GGUF files, versions 2 and 3, little-endian: typed metadata and a directory of (block-quantized)
// tensors, all mapped. As a WeightSource it speaks GGUF's own names ("blk.0.attn_q.weight"); shapes
// are outermost dimension first, as everywhere here. Spec: ggml/docs/gguf.md.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "formats/file_bytes.h"
#include "formats/gguf_dequant.h"
#include "formats/weights.h"

namespace octavo {

enum class GgufType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
std::string_view gguf_type_name(GgufType type);

struct GgufValue;

// Elements of one type. Texts point into the file.
struct GgufArray {
  GgufType element = GgufType::u8;
  uint64_t count = 0;
  std::span<const std::byte> numbers;  // count little-endian values, unless texts or arrays
  std::vector<std::string_view> texts;
  std::vector<GgufValue> arrays;

  // Precondition: i < count. Nothing when the elements are no numbers, or not whole (integer()).
  std::optional<int64_t> integer(size_t i) const;
  std::optional<double> number(size_t i) const;
};

struct GgufValue {
  GgufType type = GgufType::u8;
  std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray> value;

  std::optional<int64_t> integer() const;  // of any integer type, when it fits
  std::optional<double> number() const;    // any integer or float
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  const GgufArray* array() const;
};

class Gguf final : public WeightSource {
 public:
  // Errors name the file: not_found, io, unsupported (version 1, big-endian), invalid_input.
  static Result<std::shared_ptr<const Gguf>> open(const std::filesystem::path& path);
  // The same for bytes at hand; `name` is what messages call them.
  static Result<std::shared_ptr<const Gguf>> parse(FileBytes file, const std::string& name);

  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }
  const GgufValue* value(std::string_view key) const;  // null when absent
  // The value when it is there and of that kind, else nothing.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  const GgufArray* array(std::string_view key) const;

  const std::vector<WeightEntry>& entries() const override { return entries_; }
  const WeightEntry* find(std::string_view name) const override;
  Result<Tensor> load(std::string_view name) const override;
  Result<Tensor> load_as_stored(std::string_view name) const override;

 private:
  struct Place {
    const GgmlType* type;  // null: a number we do not know
    uint64_t offset;       // in data_
    uint64_t size;
  };
  Status read();
  Result<size_t> place_of(std::string_view name) const;
  FileBytes data_of(size_t index) const {
    return data_.part(places_[index].offset, places_[index].size);
  }
  Error about(size_t index, Error error) const;

  std::string name_;
  FileBytes file_;
  FileBytes data_;  // the part of it that tensors lie in
  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::vector<uint32_t> keys_;  // indexes into metadata_ by key
  std::vector<WeightEntry> entries_;
  std::vector<Place> places_;
  std::vector<uint32_t> names_;  // indexes into entries_ by name
};

}  // namespace octavo
