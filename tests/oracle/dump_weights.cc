// Prints what a checkpoint holds, one line a tensor: CRC-32 of its float32 bytes, shape, type in
// the file, name; or, where it cannot be read, why. Ends with the peak resident memory.
// usage: oracle_dump_weights FILE

#include <sys/resource.h>

#include <cstdio>
#include <filesystem>

#include "formats/crc32.h"
#include "formats/gguf.h"

namespace octavo {
namespace {

Result<std::shared_ptr<const WeightSource>> open(const std::filesystem::path& file) {
  if (file.extension() != ".gguf") return open_safetensors(file);
  OCTAVO_TRY(auto gguf, Gguf::open(file));
  return std::shared_ptr<const WeightSource>(std::move(gguf));
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  using namespace octavo;
  if (argc != 2) return 2;
  auto source = open(argv[1]);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().message.c_str());
    return 1;
  }
  for (const WeightEntry& entry : (*source)->entries()) {
    auto tensor = (*source)->load(entry.name);
    if (tensor) {
      std::printf("%08x %s %s %s\n", crc32(0, tensor->bytes()), to_string(entry.shape).c_str(),
                  entry.stored_as.c_str(), entry.name.c_str());
      tensor->drop_pages();
    } else {
      std::printf("error %s\n", tensor.error().message.c_str());
    }
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("peak_kib %ld\n", usage.ru_maxrss);
  return 0;
}
