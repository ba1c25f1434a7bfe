#include "formats/safetensors_writer.h"

#include <utility>

#include "base/cursor.h"
#include "formats/json.h"
#include "formats/safetensors_types.h"

namespace octavo {

namespace {
// Data begins at a multiple of this, so that readers can map the tensors; the reference writer
// promises 8, mapping into vector kernels wants a cache line.
constexpr size_t kAlignment = 64;
// Room in the header for a row count and an end that are known only at commit(): 19 and 20 digits.
constexpr size_t kRoomToGrow = 40;
}  // namespace

Result<std::string> SafetensorsWriter::header() const {
  // The document has one line a tensor in the order of the data: sorted keys would be alphabetic.
  std::string text = "{";
  if (!metadata_.empty()) {
    OCTAVO_TRY(std::string map, json_text(nlohmann::json(metadata_), -1));
    map.pop_back();
    text += "\"__metadata__\":" + map;
  }
  uint64_t at = 0;
  for (const TensorSpec& t : tensors_) {
    OCTAVO_TRY(const size_t size, byte_count(t.dtype, t.shape));
    OCTAVO_TRY(const uint64_t end, checked_add(at, size));
    const nlohmann::json fields = {{"dtype", safetensors_type(t.dtype)->name},
                                   {"shape", t.shape},
                                   {"data_offsets", {at, end}}};
    OCTAVO_TRY(std::string name, json_text(nlohmann::json(t.name), -1));
    name.pop_back();
    OCTAVO_TRY(std::string value, json_text(fields, -1));
    value.pop_back();
    text += (text.size() > 1 ? "," : "") + name + ":" + value;
    at = end;
  }
  return text + "}";
}

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::filesystem::path& target, std::vector<TensorSpec> tensors,
    const std::map<std::string, std::string>& metadata) {
  for (const TensorSpec& t : tensors)
    if (safetensors_type(t.dtype) == nullptr)
      return Error{Code::unsupported, target.string() + ": safetensors has no element type " +
                                          std::string(dtype_name(t.dtype))};
  OCTAVO_TRY(AtomicFile file, AtomicFile::create(target));
  SafetensorsWriter writer(std::move(file), std::move(tensors), metadata);
  if (!writer.tensors_.empty()) {
    Shape& last = writer.tensors_.back().shape;
    writer.open_ended_ = !last.empty() && last[0] == -1;
    if (writer.open_ended_) last[0] = 0;
  }
  OCTAVO_TRY(std::string text, writer.header().within(target.string()));
  if (writer.open_ended_) text += std::string(kRoomToGrow, ' ');
  text += std::string((kAlignment - (text.size() + 8) % kAlignment) % kAlignment, ' ');
  writer.header_size_ = text.size();
  const uint64_t length = text.size();
  OCTAVO_CHECK(writer.file_.write(std::as_bytes(std::span(&length, 1))));
  OCTAVO_CHECK(writer.file_.write(text));
  return writer;
}

Status SafetensorsWriter::write(std::span<const std::byte> bytes) { return file_.write(bytes); }

Result<AtomicFile> SafetensorsWriter::finish() {
  const std::string target = file_.target().string();
  uint64_t left = file_.size() - 8 - header_size_;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    TensorSpec& t = tensors_[i];
    if (open_ended_ && i + 1 == tensors_.size()) t.shape[0] = 1;
    OCTAVO_TRY(const size_t size, byte_count(t.dtype, t.shape).within(target));
    if (open_ended_ && i + 1 == tensors_.size()) {
      t.shape[0] = size == 0 ? 0 : static_cast<int64_t>(left / size);
      left -= static_cast<uint64_t>(t.shape[0]) * size;
    } else if (size > left) {
      return Error{Code::internal, target + ": tensor " + quote(t.name) + " was not written whole"};
    } else {
      left -= size;
    }
  }
  if (left != 0)
    return Error{Code::internal, target + ": " + std::to_string(left) + " bytes of no tensor"};
  OCTAVO_TRY(std::string text, header().within(target));
  text.resize(header_size_, ' ');
  OCTAVO_CHECK(file_.rewrite(8, std::as_bytes(std::span(text.data(), text.size()))));
  return std::move(file_);
}

Status SafetensorsWriter::commit() {
  OCTAVO_TRY(AtomicFile file, finish());
  return file.commit();
}

}  // namespace octavo
