// Runs a fuzz target without libFuzzer: every file of the corpus, then deterministic mutations of
// them. usage: fuzz_<name> FOLDER|FILE... [mutations a file, default 20000]

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

void mutate(Bytes& bytes, const std::vector<Bytes>& corpus, std::mt19937_64& random) {
  static constexpr uint8_t kSpecial[] = {0,   1,   0x7f, 0x80, 0xff, '"',
                                         '{', '[', '}',  ']',  '\\', '-'};
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>(random() % n); };
  const size_t at = below(bytes.size() + 1);
  const auto here = bytes.begin() + static_cast<ptrdiff_t>(at);
  switch (below(7)) {
    case 0:
      if (at < bytes.size()) *here ^= static_cast<uint8_t>(1U << below(8));
      break;
    case 1:
      if (at < bytes.size()) *here = kSpecial[below(std::size(kSpecial))];
      break;
    case 2:
      bytes.insert(here, 1 + below(8), static_cast<uint8_t>(random()));
      break;
    case 3:
      bytes.erase(here, here + static_cast<ptrdiff_t>(below(bytes.size() - at + 1)));
      break;
    case 4: {  // copy a piece of this input to another place
      const size_t from = below(bytes.size());
      const size_t size = below(std::min<size_t>(64, bytes.size() - from) + 1);
      const Bytes piece(bytes.begin() + static_cast<ptrdiff_t>(from),
                        bytes.begin() + static_cast<ptrdiff_t>(from + size));
      bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), piece.begin(), piece.end());
      break;
    }
    case 5: {  // the tail of another input
      const Bytes& other = corpus[below(corpus.size())];
      const auto cut = static_cast<ptrdiff_t>(below(other.size() + 1));
      bytes.erase(here, bytes.end());
      bytes.insert(bytes.end(), other.begin() + cut, other.end());
      break;
    }
    default:
      bytes.resize(at);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  unsigned mutations = 20000;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
        files.push_back(entry.path());
    } else if (std::filesystem::exists(argv[i])) {
      files.emplace_back(argv[i]);
    } else {
      mutations = static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10));
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) return std::fputs("no corpus\n", stderr), 1;
  size_t runs = 0;
  for (size_t i = 0; i < corpus.size(); ++i) {
    std::mt19937_64 random(i);
    LLVMFuzzerTestOneInput(corpus[i].data(), corpus[i].size());
    for (unsigned m = 0; m < mutations; ++m, ++runs) {
      Bytes bytes = corpus[i];
      for (uint64_t n = 1 + random() % 4; n > 0; --n) mutate(bytes, corpus, random);
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
  }
  std::printf("%zu inputs, %zu mutations\n", corpus.size(), runs);
  return 0;
}
