// An ONNX model from untrusted bytes. What can be read must be writable, and reading and writing it
// again must change nothing.

#include "formats/onnx.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

namespace {

namespace fs = std::filesystem;

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_onnx: %s\n", what.c_str());
  std::abort();
}

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// In memory where there is such a file system: writing syncs, which a disk makes slow.
struct Scratch {
  fs::path folder;
  Scratch() {
    std::string pattern =
        (fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
        "octavo-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "no scratch folder");
    folder = pattern;
  }
  ~Scratch() { fs::remove_all(folder); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Scratch scratch;
  const auto model = octavo::parse_onnx(std::as_bytes(std::span(data, size)), {});
  if (!model) {
    require(model.error().code != octavo::Code::internal, model.error().message);
    return 0;
  }
  const fs::path file = scratch.folder / "m.onnx";
  const auto written = octavo::write_onnx(*model, file);
  require(written.ok(), written ? "" : "cannot be written: " + written.error().message);
  const std::string once = content(file);
  const auto again = octavo::read_onnx(file);
  require(again.ok(), again ? "" : "cannot be read again: " + again.error().message);
  require(octavo::write_onnx(*again, file).ok(), "cannot be written again");
  require(content(file) == once, "a second round trip changed the bytes");
  return 0;
}
