#pragma once
// The packed form of a model, written once so that later starts map it instead of reading and
// packing the model: a safetensors file (any tool can look at it, and its reader is one that treats
// files as hostile) with the tensors of an EncoderSpec, a last tensor of XXH3 checksums, and in its
// metadata the spec, a layout version and what the model was made from. It lives in the user's
// cache: $OCTAVO_CACHE, else $XDG_CACHE_HOME/octavo, else ~/.cache/octavo. Whatever is wrong with
// it means that it is written again, never an error.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "formats/file_bytes.h"
#include "runtime/fused/compile.h"
#include "runtime/fused/encoder.h"

namespace octavo {

// Raised whenever a layout of kernels.h, a tensor of spec.h, the meaning of either, or what raising
// and compiling make of a graph changes.
inline constexpr int kPackedLayout = 4;

// A file that the packed form was made from, and how to see cheaply that it is still the same one;
// content is compared when the cheap signs differ (a copy, a checkout).
struct SourceFile {
  std::string name;  // in the folder of the model file as it was named, or absolute
  std::string real;  // what that led to, symlinks followed
  uint64_t size = 0;
  int64_t modified = 0;  // nanoseconds
  // tar, rsync and cp -p give a file the size and date of another; no program chooses these two.
  int64_t inode = 0;
  int64_t changed = 0;  // nanoseconds, of the inode (ctime)
  bool operator==(const SourceFile&) const = default;
};
// Errors: not_found.
Result<std::vector<SourceFile>> look_at(const std::filesystem::path& folder,
                                        const std::vector<std::string>& names);
// XXH3 of all bytes of all files, in order. Errors: io.
Result<std::string> content_hash(const std::vector<SourceFile>& files);

struct PackedHeader {
  fused::EncoderSpec spec;
  std::vector<SourceFile> sources;
  std::string content;  // content_hash(sources)
  std::string table;    // initializer of the model that is the embedding table; "": in the file
};

// Where the packed form of a model file belongs. Errors: not_found when there is no cache folder
// (neither variable nor home), io when it cannot be made.
Result<std::filesystem::path> packed_path(const std::filesystem::path& model_file);

// Errors: io; those of `make`.
Status write_packed(const std::filesystem::path& file, const PackedHeader& header,
                    const std::vector<fused::PackedTensor>& tensors);
// The same up to commit(): what has the real name is believed, so it is checked before it gets it.
Result<AtomicFile> stage_packed(const std::filesystem::path& file, const PackedHeader& header,
                                const std::vector<fused::PackedTensor>& tensors);

// Beside a packed file: how its sources looked when they were last read and had the content that it
// was made from. Spares reading a model again and again whose dates changed and nothing else.
// remember: what cannot be written is not remembered.
void remember_sources(const std::filesystem::path& packed, const std::vector<SourceFile>& now,
                      const std::string& content);
bool remembers_sources(const std::filesystem::path& packed, const std::vector<SourceFile>& now,
                       const std::string& content);

struct Packed {
  PackedHeader header;
  fused::FusedEncoder::Lookup lookup;  // borrows from the mapped file
};
// Checksums are compared on the pool's threads. Errors: not_found, invalid_input (anything that is
// not as written).
Result<Packed> read_packed(const std::filesystem::path& file, ThreadPool& pool);
// The same for bytes at hand; `name` is what messages call them.
Result<Packed> parse_packed(FileBytes file, const std::string& name, ThreadPool& pool);

}  // namespace octavo
