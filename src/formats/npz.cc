// The archive around npy members. Every local header carries the zip64 field, because its sizes are
// known only when the member is complete; the central directory uses it where a number needs it.

#include <utility>

#include "formats/crc32.h"
#include "formats/json.h"
#include "formats/npy.h"
#include "formats/npy_header.h"

namespace octavo {

namespace {

constexpr uint32_t kMax32 = 0xffffffffU;
constexpr uint16_t kVersion = 45;   // 4.5: zip64
constexpr uint16_t kDate = 0x0021;  // 1980-01-01, the zero of the format

// Little-endian fields of a record.
class Record {
 public:
  Record& u16(uint16_t v) { return put(v, 2); }
  Record& u32(uint32_t v) { return put(v, 4); }
  Record& u64(uint64_t v) { return put(v, 8); }
  Record& text(std::string_view v) {
    bytes_ += v;
    return *this;
  }
  std::string_view bytes() const { return bytes_; }

 private:
  Record& put(uint64_t v, int n) {
    for (int i = 0; i < n; ++i) bytes_ += static_cast<char>((v >> (8 * i)) & 0xffU);
    return *this;
  }
  std::string bytes_;
};

Record local_header(const std::string& name, uint32_t crc, uint64_t size) {
  Record r;
  r.u32(0x04034b50).u16(kVersion).u16(0).u16(0).u16(0).u16(kDate).u32(crc).u32(kMax32).u32(kMax32);
  r.u16(static_cast<uint16_t>(name.size())).u16(20).text(name);
  r.u16(1).u16(16).u64(size).u64(size);
  return r;
}

Record central_header(const std::string& name, uint32_t crc, uint64_t size, uint64_t offset) {
  Record extra;
  if (size >= kMax32) extra.u64(size).u64(size);
  if (offset >= kMax32) extra.u64(offset);
  const auto clip = [](uint64_t v) { return v >= kMax32 ? kMax32 : static_cast<uint32_t>(v); };
  const size_t extra_size = extra.bytes().empty() ? 0 : extra.bytes().size() + 4;
  Record r;
  r.u32(0x02014b50).u16(kVersion).u16(kVersion).u16(0).u16(0).u16(0).u16(kDate).u32(crc);
  r.u32(clip(size)).u32(clip(size)).u16(static_cast<uint16_t>(name.size()));
  r.u16(static_cast<uint16_t>(extra_size)).u16(0).u16(0).u16(0).u32(0).u32(clip(offset)).text(name);
  if (extra_size != 0)
    r.u16(1).u16(static_cast<uint16_t>(extra.bytes().size())).text(extra.bytes());
  return r;
}

}  // namespace

Result<NpzWriter> NpzWriter::create(const std::filesystem::path& target) {
  OCTAVO_TRY(AtomicFile file, AtomicFile::create(target));
  return NpzWriter(std::move(file));
}

Status NpzWriter::begin(const std::string& name, DType dtype, const Shape& shape) {
  OCTAVO_CHECK(finish_member());
  const std::string where = file_.target().string() + ": array " + quote(name);
  for (const char c : name)
    if (c <= ' ' || c > '~' || c == '/' || c == '\\')
      return Error{Code::invalid_input, where + ": the name is not plain ASCII"};
  if (name.empty() || name.size() > 200)
    return Error{Code::invalid_input, where + ": the name is empty or too long"};
  dtype_ = dtype;
  shape_ = shape;
  open_ended_ = !shape.empty() && shape[0] == -1;
  if (open_ended_) shape_[0] = 0;
  Member member;
  OCTAVO_TRY(member.header, npy_header(dtype, shape_).within(where));
  Shape unit = shape_;
  if (open_ended_) unit.erase(unit.begin());
  OCTAVO_TRY(unit_, byte_count(dtype, unit).within(where));
  if (open_ended_ && unit_ == 0)
    return Error{Code::internal, where + ": rows of no bytes cannot be counted"};
  member.name = name + ".npy";
  member.offset = file_.size();
  OCTAVO_CHECK(file_.write(local_header(member.name, 0, 0).bytes()));
  OCTAVO_CHECK(file_.write(member.header));
  members_.push_back(std::move(member));
  return Done{};
}

Status NpzWriter::write(std::span<const std::byte> bytes) {
  if (members_.empty()) return Error{Code::internal, "npz: write() before begin()"};
  Member& m = members_.back();
  if (m.finished || (!open_ended_ && bytes.size() > unit_ - m.size))
    return Error{Code::internal, file_.target().string() + ": more bytes than the array has"};
  m.crc = crc32(m.crc, bytes);
  m.size += bytes.size();
  return file_.write(bytes);
}

Status NpzWriter::finish_member() {
  if (members_.empty() || members_.back().finished) return Done{};
  Member& m = members_.back();
  const std::string where = file_.target().string() + ": " + m.name;
  if (open_ended_ ? m.size % unit_ != 0 : m.size != unit_)
    return Error{Code::internal, where + " is not whole"};
  if (open_ended_) {
    // As long as before: a header leaves room for any number of rows.
    shape_[0] = static_cast<int64_t>(m.size / unit_);
    OCTAVO_TRY(m.header, npy_header(dtype_, shape_).within(where));
  }
  const auto header = std::as_bytes(std::span(m.header.data(), m.header.size()));
  m.crc = crc32_joined(crc32(0, header), m.crc, m.size);
  m.size += header.size();
  m.finished = true;
  const Record local = local_header(m.name, m.crc, m.size);
  OCTAVO_CHECK(file_.rewrite(m.offset,
                             std::as_bytes(std::span(local.bytes().data(), local.bytes().size()))));
  return file_.rewrite(m.offset + local.bytes().size(), header);
}

Status NpzWriter::commit() {
  OCTAVO_CHECK(finish_member());
  const uint64_t start = file_.size();
  for (const Member& m : members_)
    OCTAVO_CHECK(file_.write(central_header(m.name, m.crc, m.size, m.offset).bytes()));
  const uint64_t end = file_.size();
  const uint64_t count = members_.size();
  Record tail;
  if (count >= 0xffff || start >= kMax32 || end - start >= kMax32) {
    tail.u32(0x06064b50).u64(44).u16(kVersion).u16(kVersion).u32(0).u32(0).u64(count).u64(count);
    tail.u64(end - start).u64(start);
    tail.u32(0x07064b50).u32(0).u64(end).u32(1);
  }
  const auto clip16 = static_cast<uint16_t>(std::min<uint64_t>(count, 0xffff));
  tail.u32(0x06054b50).u16(0).u16(0).u16(clip16).u16(clip16);
  tail.u32(static_cast<uint32_t>(std::min<uint64_t>(end - start, kMax32)));
  tail.u32(static_cast<uint32_t>(std::min<uint64_t>(start, kMax32))).u16(0);
  OCTAVO_CHECK(file_.write(tail.bytes()));
  return file_.commit();
}

}  // namespace octavo
