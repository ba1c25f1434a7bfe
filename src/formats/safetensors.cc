// safetensors: u64 header length, a JSON header, then the tensors' bytes. Spec: the safetensors
// README (Format). The rules checked here are those of its reference reader, in the same order.

#include "formats/safetensors.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "base/cursor.h"
#include "formats/file_bytes.h"
#include "formats/json.h"
#include "formats/safetensors_types.h"
#include "formats/stored_tensor.h"
#include "formats/weights.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference reader's limit
constexpr size_t kMaxRank = 32;               // no model has more; bounds the memory of a header

struct Place {
  const SafetensorsType* type = nullptr;
  uint64_t begin = 0;  // inside the data section
  uint64_t end = 0;
  uint32_t file = 0;
};

// The header, straight into entries: its document would take some ten times the header's size.
class Header final : public JsonReceiver {
 public:
  std::vector<WeightEntry> entries;
  std::vector<Place> places;
  std::map<std::string, std::string> metadata;

  bool null() override { return stop("null where a tensor's fields are due"); }
  bool boolean(bool /*v*/) override {
    return stop("true or false where a tensor's fields are due");
  }
  bool number_integer(int64_t /*v*/) override { return stop("a negative number"); }
  bool number_float(double /*v*/, const std::string& text) override {
    return stop("the number " + text.substr(0, 40) + " is not a size");
  }
  bool number_unsigned(uint64_t v) override {
    if (field_ == Field::shape && in_array_) {
      if (entries.back().shape.size() == kMaxRank) return bad("more than 32 dimensions");
      if (v > static_cast<uint64_t>(INT64_MAX)) return bad("a dimension beyond 2^63");
      entries.back().shape.push_back(static_cast<int64_t>(v));
      return true;
    }
    if (field_ == Field::offsets && in_array_) {
      if (offsets_ == 2) return bad("more than two data_offsets");
      (offsets_++ == 0 ? places.back().begin : places.back().end) = v;
      return true;
    }
    return stop("a number where none is due");
  }
  bool string(std::string& v) override {
    if (level_ == Level::metadata) {
      metadata[metadata_key_] = std::move(v);
      return true;
    }
    if (level_ != Level::tensor || field_ != Field::dtype)
      return stop("text where a tensor's fields are due");
    places.back().type = safetensors_type(std::string_view(v));
    if (places.back().type == nullptr) return bad("unknown dtype " + quote(v));
    entries.back().stored_as = std::move(v);
    return true;
  }
  bool start_object(size_t /*size*/) override {
    switch (level_) {
      case Level::outside:
        level_ = Level::header;
        return true;
      case Level::header:
        level_ = metadata_next_ ? Level::metadata : Level::tensor;
        seen_ = 0;
        field_ = Field::none;
        offsets_ = 0;
        return true;
      default:
        return stop("an object where none is due");
    }
  }
  bool end_object() override {
    if (level_ == Level::header) {
      level_ = Level::outside;
      return true;
    }
    if (level_ == Level::tensor) {
      if (seen_ != 7) return bad("needs dtype, shape and data_offsets");
      if (offsets_ != 2) return bad("needs two data_offsets");
    }
    level_ = Level::header;
    return true;
  }
  bool start_array(size_t /*size*/) override {
    if (level_ != Level::tensor || in_array_ ||
        (field_ != Field::shape && field_ != Field::offsets))
      return stop("an array where none is due");
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool key(std::string& v) override {
    if (level_ == Level::header) {
      metadata_next_ = v == "__metadata__";
      if (!metadata_next_) {
        entries.emplace_back().name = std::move(v);
        places.emplace_back();
      } else if (std::exchange(metadata_seen_, true)) {
        return stop("__metadata__ is there twice");
      }
      return true;
    }
    if (level_ == Level::metadata) {
      if (metadata.contains(v)) return stop("the metadata key " + quote(v) + " is there twice");
      metadata_key_ = std::move(v);
      return true;
    }
    field_ = v == "dtype"          ? Field::dtype
             : v == "shape"        ? Field::shape
             : v == "data_offsets" ? Field::offsets
                                   : Field::none;
    if (field_ == Field::none) return bad("unknown key " + quote(v));
    const int bit = 1 << (static_cast<int>(field_) - 1);
    if ((seen_ & bit) != 0) return bad("the key " + v + " is there twice");
    seen_ |= bit;
    return true;
  }

 private:
  enum class Level : uint8_t { outside, header, tensor, metadata };
  enum class Field : uint8_t { none, dtype, shape, offsets };
  bool bad(const std::string& why) {
    return stop("tensor " + quote(entries.back().name) + ": " + why);
  }
  Level level_ = Level::outside;
  Field field_ = Field::none;
  bool in_array_ = false;
  bool metadata_next_ = false;
  bool metadata_seen_ = false;
  int seen_ = 0;
  int offsets_ = 0;
  std::string metadata_key_;
};

// Sizes match the types, and the tensors cover the data section without hole or overlap.
Status check_layout(Header& header, uint64_t data_size) {
  std::vector<uint32_t> order(header.places.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const Place& x = header.places[a];
    const Place& y = header.places[b];
    return std::tie(x.begin, x.end, a) < std::tie(y.begin, y.end, b);
  });
  uint64_t reached = 0;
  for (const uint32_t i : order) {
    const WeightEntry& entry = header.entries[i];
    const Place& place = header.places[i];
    const auto bad = [&](const std::string& why) {
      return Error{Code::invalid_input, "tensor " + quote(entry.name) + ": " + why};
    };
    if (place.end < place.begin)
      return bad("ends at " + std::to_string(place.end) + ", before its begin at " +
                 std::to_string(place.begin));
    if (place.begin != reached)
      return bad("begins at " + std::to_string(place.begin) +
                 " of the data, but the tensor before it ends at " + std::to_string(reached));
    auto bits = element_count(entry.shape);
    if (!bits) return std::move(bits).error().within("tensor " + quote(entry.name));
    OCTAVO_TRY(const uint64_t total, checked_mul(static_cast<uint64_t>(*bits), place.type->bits));
    if (total % 8 != 0 || total / 8 != place.end - place.begin)
      return bad(entry.stored_as + " " + to_string(entry.shape) + " does not take the " +
                 std::to_string(place.end - place.begin) + " bytes of its data_offsets");
    reached = place.end;
  }
  if (reached != data_size)
    return Error{Code::invalid_input, "the tensors end at byte " + std::to_string(reached) +
                                          " of the data, but there are " +
                                          std::to_string(data_size) + " bytes"};
  // Entries in the order of the file, which is the order that reads it front to back. In place,
  // cycle by cycle: a second copy of a million entries would be larger than the file.
  for (uint32_t start = 0; start < order.size(); ++start) {
    for (uint32_t to = start; order[to] != to;) {
      const uint32_t from = std::exchange(order[to], to);
      if (from == start) break;
      std::swap(header.entries[to], header.entries[from]);
      std::swap(header.places[to], header.places[from]);
      to = from;
    }
  }
  return Done{};
}

struct OpenFile {
  std::string name;
  FileBytes whole;
  FileBytes data;
};

Result<Header> read_header(OpenFile& file) {
  Cursor cursor(file.whole.bytes);
  OCTAVO_TRY(const auto length, cursor.read<uint64_t>().within("the header length"));
  if (length > kMaxHeader)
    return Error{Code::invalid_input,
                 "a header of " + std::to_string(length) +
                     " bytes; 100,000,000 are the most (is this a safetensors file?)"};
  OCTAVO_TRY(const auto text, cursor.text(length).within("the header"));
  if (!text.starts_with('{'))
    return Error{Code::invalid_input,
                 "the header does not start with '{' (is this a safetensors file?)"};
  Header header;
  OCTAVO_CHECK(parse_json_into(text, "the header", header, kMaxHeader));
  file.data = file.whole.part(cursor.position(), cursor.remaining());
  OCTAVO_CHECK(check_layout(header, file.data.bytes.size()));
  return header;
}

class Safetensors final : public WeightSource {
 public:
  // Adds one file, whose tensors must be new, and gives its metadata.
  Result<std::map<std::string, std::string>> add(FileBytes whole, const std::string& name) {
    OpenFile file{name, std::move(whole), {}};
    OCTAVO_TRY(Header header, read_header(file).within(name));
    for (Place& place : header.places) place.file = static_cast<uint32_t>(files_.size());
    if (files_.empty()) {
      entries_ = std::move(header.entries);
      places_ = std::move(header.places);
    } else {
      std::move(header.entries.begin(), header.entries.end(), std::back_inserter(entries_));
      places_.insert(places_.end(), header.places.begin(), header.places.end());
    }
    files_.push_back(std::move(file));
    return std::move(header.metadata);
  }

  // After the last add(). A sorted list of numbers instead of a hash map: a tenth of the memory.
  Status index() {
    sorted_.resize(entries_.size());
    std::iota(sorted_.begin(), sorted_.end(), 0U);
    // Merge sort: names in nearly sorted order drive introsort into its slow fallback.
    std::stable_sort(sorted_.begin(), sorted_.end(),
                     [&](uint32_t a, uint32_t b) { return entries_[a].name < entries_[b].name; });
    for (size_t i = 1; i < sorted_.size(); ++i) {
      const std::string& name = entries_[sorted_[i]].name;
      if (name == entries_[sorted_[i - 1]].name)
        return Error{Code::invalid_input, files_[places_[sorted_[i]].file].name + ": the tensor " +
                                              quote(name) + " is there twice"};
    }
    return Done{};
  }

  const std::vector<WeightEntry>& entries() const override { return entries_; }
  const WeightEntry* find(std::string_view name) const override {
    const size_t at = at_of(name);
    return at == entries_.size() ? nullptr : &entries_[at];
  }
  const std::string& file_of(const WeightEntry& entry) const {
    return files_[places_[static_cast<size_t>(&entry - entries_.data())].file].name;
  }
  Result<Tensor> load(std::string_view name) const override {
    return with(name, [](DType dtype, const Shape& shape, const FileBytes& data) -> Result<Tensor> {
      OCTAVO_TRY(Tensor t, tensor_as_f32(dtype, shape, data));
      OCTAVO_CHECK(check_finite(t.values<float>()));
      return t;
    });
  }
  Result<Tensor> load_as_stored(std::string_view name) const override {
    return with(name, tensor_as_stored);
  }

 private:
  size_t at_of(std::string_view name) const {
    const auto at = std::lower_bound(
        sorted_.begin(), sorted_.end(), name,
        [&](uint32_t i, std::string_view wanted) { return entries_[i].name < wanted; });
    return at == sorted_.end() || entries_[*at].name != name ? entries_.size() : *at;
  }
  template <class F>
  Result<Tensor> with(std::string_view name, F make) const {
    const size_t at = at_of(name);
    if (at == entries_.size())
      return Error{Code::not_found, files_.front().name + ": no tensor " + quote(name)};
    const Place& place = places_[at];
    const OpenFile& file = files_[place.file];
    const std::string where = file.name + ": tensor " + quote(name);
    if (place.type->dtype == DType::undefined)
      return Error{Code::unsupported, where + ": the element type " + entries_[at].stored_as};
    return make(place.type->dtype, entries_[at].shape,
                file.data.part(place.begin, place.end - place.begin))
        .within(where);
  }

  std::vector<OpenFile> files_;
  std::vector<WeightEntry> entries_;
  std::vector<Place> places_;
  std::vector<uint32_t> sorted_;  // indexes into entries_ by name
};

// The shards that an index names, and which of them holds which tensor.
Status add_shards(const fs::path& index_file, Safetensors& source) {
  OCTAVO_TRY(const auto document, read_json(index_file));
  const auto bad = [&](const std::string& why) {
    return Error{Code::invalid_input, index_file.string() + ": " + why};
  };
  if (!document.is_object() || !document.contains("weight_map") ||
      !document["weight_map"].is_object() || document["weight_map"].empty())
    return bad("has no weight_map that says which file holds which tensor");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : document["weight_map"].items()) {
    if (!shard.is_string()) return bad("the file of " + quote(tensor) + " is not text");
    const auto& name = shard.get_ref<const std::string&>();
    // A shard lies beside its index; anything else would read files the user did not name.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      return bad("the file name " + quote(name) + " of " + quote(tensor) +
                 " is not a plain name in the same folder");
    shards.insert(name);
  }
  for (const std::string& name : shards) {
    const fs::path path = index_file.parent_path() / name;
    auto whole = FileBytes::open(path);
    if (!whole && whole.error().code == Code::not_found)
      return Error{Code::not_found, index_file.string() + ": names the file " + quote(name) +
                                        ", which is not beside it; the download is not complete"};
    OCTAVO_TRY(FileBytes shard, std::move(whole));
    OCTAVO_CHECK(source.add(std::move(shard), path.string()));
  }
  OCTAVO_CHECK(source.index());
  for (const auto& [tensor, shard] : document["weight_map"].items()) {
    const WeightEntry* entry = source.find(tensor);
    const auto& name = shard.get_ref<const std::string&>();
    if (entry == nullptr || fs::path(source.file_of(*entry)).filename() != name)
      return bad("says that " + quote(tensor) + " is in " + name + ", but it is not");
  }
  return Done{};
}

}  // namespace

Result<std::shared_ptr<const WeightSource>> open_safetensors(const fs::path& file) {
  if (file.extension() != ".json") {
    OCTAVO_TRY(FileBytes whole, FileBytes::open(file));
    return parse_safetensors(std::move(whole), file.string());
  }
  auto source = std::make_shared<Safetensors>();
  OCTAVO_CHECK(add_shards(file, *source));
  return std::shared_ptr<const WeightSource>(std::move(source));
}

Result<std::shared_ptr<const WeightSource>> parse_safetensors(FileBytes file,
                                                              const std::string& name) {
  OCTAVO_TRY(SafetensorsFile parsed, parse_safetensors_file(std::move(file), name));
  return std::move(parsed.weights);
}

Result<SafetensorsFile> parse_safetensors_file(FileBytes file, const std::string& name) {
  auto source = std::make_shared<Safetensors>();
  OCTAVO_TRY(auto metadata, source->add(std::move(file), name));
  OCTAVO_CHECK(source->index());
  return SafetensorsFile{std::move(source), std::move(metadata)};
}

Result<std::map<std::string, std::string>> safetensors_metadata(const fs::path& path) {
  OCTAVO_TRY(FileBytes whole, FileBytes::open(path));
  OpenFile file{path.string(), std::move(whole), {}};
  OCTAVO_TRY(Header header, read_header(file).within(path.string()));
  return std::move(header.metadata);
}

}  // namespace octavo
