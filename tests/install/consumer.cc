// Every public header, and a call through each part of the library: consumer SNAPSHOT WORK_FOLDER
#include <octavo/build.h>
#include <octavo/embedder.h>
#include <octavo/hub.h>
#include <octavo/import.h>
#include <octavo/progress.h>
#include <octavo/quantize.h>
#include <octavo/result.h>
#include <octavo/smooth.h>
#include <octavo/verify.h>
#include <octavo/version.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

static int failed(int code, const octavo::Error& error) {
  std::printf("%s\n", error.message.c_str());
  return code;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto missing = octavo::Embedder::open("/no/such/folder");
  if (missing || missing.error().code != octavo::Code::not_found) return 10;

  const auto name = octavo::parse_hub_name("org/name@v1");
  if (!name || name->revision != "v1") return 16;
  octavo::HubSettings offline;
  offline.offline = true;
  offline.cache = "/no/such/folder";
  if (octavo::get_model(*name, {}, offline)) return 17;

  octavo::BuildOptions options;
  options.min_cos = -1;  // a random model promises nothing
  const auto built = octavo::build_model(argv[1], argv[2], options);
  if (!built) return failed(11, built.error());
  const auto embedder = octavo::Embedder::open(argv[2]);
  if (!embedder) return failed(12, embedder.error());
  const std::vector<std::string> texts = {"hello", "good morning"};
  const auto result = embedder->embed(texts);
  if (!result) return failed(13, result.error());
  if (result->count() != 2 || result->width != embedder->width()) return 14;
  for (size_t i = 0; i < result->count(); ++i) {
    double length = 0;
    for (const float x : result->row(i)) length += static_cast<double>(x) * x;
    if (std::abs(length - 1) > 1e-5) return 15;
  }
  std::printf("octavo %s: %zu files, %zu numbers a text\n", octavo::kVersion, built->files.size(),
              result->width);
  return 0;
}
