#include "server/access_log.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include "server/json_output.h"

namespace octavo::server {

namespace {

constexpr size_t kMostBytes = 200;

std::string now() {
  const auto time = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char day[32];
  char text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text, sizeof text, "%s.%03dZ", day, static_cast<int>(milliseconds));
  return text;
}

std::string milliseconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds * 1e3);
  return text;
}

}  // namespace

std::string access_line(const AccessEntry& entry) {
  std::string line = "{\"time\":\"" + now() + "\",\"client\":" + json_quoted(entry.client) +
                     ",\"method\":" + json_quoted(entry.method.substr(0, kMostBytes)) +
                     ",\"path\":" + json_quoted(entry.path.substr(0, kMostBytes)) +
                     ",\"status\":" + std::to_string(entry.status) +
                     ",\"bytes_in\":" + std::to_string(entry.bytes_in) +
                     ",\"bytes_out\":" + std::to_string(entry.bytes_out) +
                     ",\"ms\":" + milliseconds(entry.seconds);
  if (entry.cancelled) line += ",\"cancelled\":true";
  if (const CallFacts* facts = entry.facts; facts != nullptr && facts->texts != 0) {
    line += ",\"model\":" + json_quoted(facts->model) +
            ",\"texts\":" + std::to_string(facts->texts) +
            ",\"tokens\":" + std::to_string(facts->tokens) +
            ",\"truncated\":" + std::to_string(facts->truncated) +
            ",\"queue_ms\":" + milliseconds(facts->queue_seconds) +
            ",\"model_ms\":" + milliseconds(facts->model_seconds);
  }
  return line + "}";
}

}  // namespace octavo::server
