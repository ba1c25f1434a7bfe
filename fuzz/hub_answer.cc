// Input: an address, a newline, what a hub answers there. Lists of files, indexes of shards and
// redirects come to nothing that leads out of the cache or to another protocol, whatever a hub
// says.

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hub/http.h"
#include "hub/hub_name.h"
#include "hub/repository.h"
#include "hub/selection.h"

namespace {

using namespace octavo;
using namespace octavo::hub;

constexpr uint64_t kMostBytes = uint64_t{1} << 50;

void demand(bool truth) {
  if (!truth) std::abort();
}

// By its own rule: what joins to a place below a folder, however it is read.
bool stays_below(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7f) return false;
  const std::string between = "/" + path + "/";
  return between.find("/../") == std::string::npos && between.find("/./") == std::string::npos &&
         between.find("//") == std::string::npos;
}

bool hex_digits(const std::string& text, size_t count) {
  return text.size() == count && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void check_files(const std::vector<RepositoryFile>& files) {
  for (const RepositoryFile& file : files) {
    demand(stays_below(file.path) && file.size <= kMostBytes);
    if (file.hash)
      demand(hex_digits(file.hash->hex, file.hash->kind == HashKind::sha256 ? 64 : 40));
  }
}

// What is chosen is in the list, once.
void check_selection(std::vector<RepositoryFile> files, std::string_view answer) {
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  const auto listed = [&](const std::string& path) {
    return std::any_of(files.begin(), files.end(), [&](const auto& f) { return f.path == path; });
  };
  for (const HubWeights weights : {HubWeights::any, HubWeights::onnx}) {
    PullOptions options;
    options.weights = weights;
    const Result<Selection> selection = select_files(files, options, "org/name");
    if (!selection) {
      demand(!selection.error().message.empty());
      continue;
    }
    for (const auto* some : {&selection->about, &selection->weights})
      for (const std::string& path : *some) demand(listed(path));
    demand(selection->index.empty() || listed(selection->index));
    demand(selection->gguf.empty() || listed(selection->gguf));
  }
  if (const auto shards = shards_of(std::string(answer), "index", files)) {
    for (size_t i = 0; i < shards->size(); ++i) {
      demand(listed((*shards)[i]));
      demand(std::find(shards->begin(), shards->begin() + static_cast<ptrdiff_t>(i),
                       (*shards)[i]) == shards->begin() + static_cast<ptrdiff_t>(i));
    }
  }
}

void check_address(const std::string& address) {
  const std::string from = "https://hub.example/a/b?c=d";
  if (const auto to = redirected(from, address)) {
    demand(to->starts_with("https://"));
    // An address that was understood is understood again, as the same.
    demand(redirected(from, *to) == to && same_origin(*to, *to));
    const std::string plain = shown(*to);
    demand(plain.find('?') == std::string::npos && plain.find('#') == std::string::npos);
  }
  const std::string encoded = url_encoded(address, true);
  demand(std::all_of(encoded.begin(), encoded.end(), [](char c) { return c > 0x20 && c < 0x7f; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), size);
  check_address(std::string(input.substr(0, line)));
  const std::string answer(input.substr(std::min(line + 1, size)));
  std::vector<RepositoryFile> files;
  const Status read = read_tree(answer, "https://hub.example/api", files);
  // Names of a hostile hub do not make a message long.
  if (!read) demand(!read.error().message.empty() && read.error().message.size() < 1000);
  check_files(files);
  check_selection(std::move(files), answer);
  return 0;
}
