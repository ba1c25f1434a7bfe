#include "embed/packed_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <system_error>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "embed/packed_spec.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kChecksums = "checksums";

std::string hex(uint64_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (size_t i = 0; i < 16; ++i) out[15 - i] = kDigits[value >> (4 * i) & 15U];
  return out;
}

uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Error damaged(const std::string& file, const std::string& what) {
  return {Code::invalid_input, file + ": " + what};
}

// The checksum of all that is no tensor.
uint64_t checksum(const std::string& spec, const std::string& sources, const PackedHeader& h) {
  const std::string all = spec + '\n' + sources + '\n' + h.content + '\n' + h.table;
  return XXH3_64bits(all.data(), all.size());
}

int64_t nanoseconds(const timespec& t) { return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

json write_sources(const std::vector<SourceFile>& sources) {
  json out = json::array();
  for (const SourceFile& s : sources)
    out.push_back({{"name", s.name},
                   {"real", s.real},
                   {"size", s.size},
                   {"modified", s.modified},
                   {"inode", s.inode},
                   {"changed", s.changed}});
  return out;
}

fs::path stamp_of(const fs::path& packed) { return packed.string() + ".stamp"; }

// The whole content of a stamp: one that differs in any byte says nothing.
Result<std::string> stamp(const std::vector<SourceFile>& now, const std::string& content) {
  OCTAVO_TRY(const std::string sources, json_text(write_sources(now), -1));
  const std::string text = sources + '\n' + content + '\n';
  return text + hex(XXH3_64bits(text.data(), text.size())) + '\n';
}

}  // namespace

Result<std::vector<SourceFile>> look_at(const fs::path& folder,
                                        const std::vector<std::string>& names) {
  std::vector<SourceFile> out;
  for (const std::string& name : names) {
    const fs::path file = folder / name;
    struct stat s {};
    std::error_code error;
    const fs::path real = fs::canonical(file, error);
    if (error || stat(real.c_str(), &s) != 0)
      return Error{Code::not_found, file.string() + ": cannot be looked at"};
    out.push_back({name, real.string(), static_cast<uint64_t>(s.st_size), nanoseconds(s.st_mtim),
                   static_cast<int64_t>(s.st_ino), nanoseconds(s.st_ctim)});
  }
  return out;
}

Result<std::string> content_hash(const std::vector<SourceFile>& files) {
  std::string all;
  for (const SourceFile& f : files) {
    OCTAVO_TRY(const auto mapped, MappedFile::open(f.real));
    const XXH128_hash_t hash = XXH3_128bits(mapped->bytes().data(), mapped->bytes().size());
    all += hex(hash.high64) + hex(hash.low64);
  }
  return all;
}

Result<fs::path> packed_path(const fs::path& model_file) {
  fs::path folder;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string own = variable("OCTAVO_CACHE"); !own.empty()) {
    folder = own;
  } else if (const std::string xdg = variable("XDG_CACHE_HOME"); xdg.starts_with('/')) {
    folder = fs::path(xdg) / "octavo";
  } else if (const std::string home = variable("HOME"); home.starts_with('/')) {
    folder = fs::path(home) / ".cache" / "octavo";
  } else {
    return Error{Code::not_found, "no folder for packed models: set OCTAVO_CACHE or HOME"};
  }
  std::error_code error;
  // The folder, not what the file in it leads to: two revisions in a cache of blobs may share a
  // graph and differ in its sidecar.
  const fs::path place = fs::canonical(fs::absolute(model_file).parent_path(), error);
  if (error) return Error{Code::not_found, model_file.string() + ": " + error.message()};
  fs::create_directories(folder, error);
  if (error) return Error{Code::io, folder.string() + ": " + error.message()};
  const std::string name = (place / model_file.filename()).string();
  return folder / (hex(XXH3_64bits(name.data(), name.size())) + ".v" +
                   std::to_string(kPackedLayout) + ".safetensors");
}

Result<AtomicFile> stage_packed(const fs::path& file, const PackedHeader& header,
                                const std::vector<fused::PackedTensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const auto& t : tensors) specs.push_back({t.name, t.dtype, t.shape});
  specs.push_back({kChecksums, DType::u64, {static_cast<int64_t>(tensors.size()) + 1}});
  OCTAVO_TRY(const std::string spec, json_text(spec_to_json(header.spec), -1));
  OCTAVO_TRY(const std::string sources, json_text(write_sources(header.sources), -1));
  OCTAVO_TRY(SafetensorsWriter writer,
             SafetensorsWriter::create(file, specs,
                                       {{"octavo.layout", std::to_string(kPackedLayout)},
                                        {"octavo.spec", spec},
                                        {"octavo.sources", sources},
                                        {"octavo.content", header.content},
                                        {"octavo.table", header.table}}));
  std::vector<uint64_t> checksums;
  for (const auto& t : tensors) {
    OCTAVO_TRY(const Tensor tensor, t.make());
    if (tensor.dtype() != t.dtype || tensor.shape() != t.shape)
      return Error{Code::internal, "packed tensor \"" + t.name + "\" is not what was announced"};
    checksums.push_back(checksum(tensor.bytes()));
    OCTAVO_CHECK(writer.write(tensor.bytes()));
  }
  checksums.push_back(checksum(spec, sources, header));
  OCTAVO_CHECK(writer.write(std::as_bytes(std::span(checksums))));
  return writer.finish();
}

Status write_packed(const fs::path& file, const PackedHeader& header,
                    const std::vector<fused::PackedTensor>& tensors) {
  OCTAVO_TRY(AtomicFile staged, stage_packed(file, header, tensors));
  return staged.commit();
}

void remember_sources(const fs::path& packed, const std::vector<SourceFile>& now,
                      const std::string& content) {
  if (const auto text = stamp(now, content))
    static_cast<void>(write_file(stamp_of(packed), *text).ok());
}

bool remembers_sources(const fs::path& packed, const std::vector<SourceFile>& now,
                       const std::string& content) {
  const auto wanted = stamp(now, content);
  const auto found = MappedFile::open(stamp_of(packed));
  if (!wanted || !found) return false;
  const auto bytes = (*found)->bytes();
  return std::ranges::equal(bytes, std::as_bytes(std::span(*wanted)));
}

Result<Packed> read_packed(const fs::path& file, ThreadPool& pool) {
  OCTAVO_TRY(FileBytes bytes, FileBytes::open(file));
  return parse_packed(std::move(bytes), file.string(), pool);
}

Result<Packed> parse_packed(FileBytes bytes, const std::string& file, ThreadPool& pool) {
  OCTAVO_TRY(SafetensorsFile parsed, parse_safetensors_file(std::move(bytes), file));
  auto& metadata = parsed.metadata;
  if (metadata["octavo.layout"] != std::to_string(kPackedLayout))
    return damaged(file, "of another layout than " + std::to_string(kPackedLayout));
  Packed packed;
  OCTAVO_TRY(const json spec, parse_json(metadata["octavo.spec"], file));
  OCTAVO_TRY(packed.header.spec, spec_from_json(spec));
  OCTAVO_TRY(const json sources, parse_json(metadata["octavo.sources"], file));
  if (!sources.is_array()) return damaged(file, "its sources are no list");
  for (const json& s : sources) {
    if (!s.is_object()) return damaged(file, "a source that is no object");
    packed.header.sources.push_back({json_string(s, "name", ""), json_string(s, "real", ""),
                                     static_cast<uint64_t>(json_int(s, "size", 0)),
                                     json_int(s, "modified", 0), json_int(s, "inode", 0),
                                     json_int(s, "changed", 0)});
  }
  packed.header.content = metadata["octavo.content"];
  packed.header.table = metadata["octavo.table"];

  auto tensors = std::make_shared<std::map<std::string, Tensor>>();
  std::vector<std::pair<std::string, Tensor>> order;
  for (const WeightEntry& e : parsed.weights->entries()) {
    OCTAVO_TRY(Tensor tensor, parsed.weights->load_as_stored(e.name));
    tensors->emplace(e.name, tensor);
    order.emplace_back(e.name, std::move(tensor));
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second.bytes().data() < b.second.bytes().data();
  });
  if (order.empty() || order.back().first != kChecksums ||
      order.back().second.dtype() != DType::u64 ||
      static_cast<size_t>(order.back().second.size()) != order.size())
    return damaged(file, "no checksums");
  const uint64_t* wanted = order.back().second.data<uint64_t>();
  if (checksum(metadata["octavo.spec"], metadata["octavo.sources"], packed.header) !=
      wanted[order.size() - 1])
    return damaged(file, "its description is damaged");
  std::vector<char> wrong(order.size(), 0);
  pool.parallel_for(order.size() - 1, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) wrong[i] = checksum(order[i].second.bytes()) != wanted[i];
  });
  for (size_t i = 0; i + 1 < order.size(); ++i)
    if (wrong[i] != 0) return damaged(file, "tensor " + quote(order[i].first) + " is damaged");
  packed.lookup = [tensors, name = file](const std::string& key) -> Result<Tensor> {
    const auto found = tensors->find(key);
    if (found == tensors->end())
      return Error{Code::invalid_input, name + ": no tensor \"" + key + "\""};
    return found->second;
  };
  return packed;
}

}  // namespace octavo
