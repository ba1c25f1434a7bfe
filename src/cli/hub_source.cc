#include "cli/hub_source.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "base/result.h"
#include "cli/commands.h"

namespace octavo::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kBarColumns = 24;

struct Bar {
  Clock::time_point begin = Clock::now();
  Clock::time_point last;
  uint64_t first = 0;  // bytes that were there at the beginning
};

}  // namespace

Progress download_bar() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  auto bar = std::make_shared<Bar>();
  return [bar](std::string_view stage, uint64_t done, uint64_t total) {
    if (total == 0) {  // nothing that could be counted
      std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(stage.size()), stage.data());
      std::fflush(stderr);
      return;
    }
    const auto now = Clock::now();
    if (bar->last == Clock::time_point()) bar->first = done;
    if (done < total && now - bar->last < std::chrono::milliseconds(100)) return;
    bar->last = now;
    const uint64_t columns = std::min(done, total) * kBarColumns / total;
    const double seconds = std::chrono::duration<double>(now - bar->begin).count();
    const double speed =
        seconds > 0 && done > bar->first ? static_cast<double>(done - bar->first) / seconds : 0;
    std::fprintf(stderr, "\r\033[K%.*s [%s%s] %s of %s, %s/s", static_cast<int>(stage.size()),
                 stage.data(), std::string(columns, '#').c_str(),
                 std::string(kBarColumns - columns, '.').c_str(), human_bytes(done).c_str(),
                 human_bytes(total).c_str(), human_bytes(static_cast<uint64_t>(speed)).c_str());
    if (done >= total) std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  };
}

Status resolve_model(std::string& argument, HubWeights weights, const std::string& file) {
  OCTAVO_TRY(const ModelSource found,
             octavo::resolve_model(argument, {.weights = weights}, file, download_bar()));
  for (const std::string& note : found.notes)
    std::fprintf(stderr, "octavo: warning: %s\n", note.c_str());
  argument = found.path.string();
  return Done{};
}

}  // namespace octavo::cli
