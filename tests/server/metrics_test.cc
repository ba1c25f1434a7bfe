#include "server/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace octavo::server {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, CountsAreCumulativeInHistograms) {
  Histogram histogram({1, 2});
  for (const double value : {0.5, 1.0, 1.5, 9.0}) histogram.observe(value);
  std::string out;
  histogram.write(out, "h", "a=\"b\"");
  EXPECT_EQ(out,
            "h_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{a=\"b\",le=\"2\"} 3\n"
            "h_bucket{a=\"b\",le=\"+Inf\"} 4\nh_sum{a=\"b\"} 12\nh_count{a=\"b\"} 4\n");
}

TEST(Metrics, ShowWhatHappened) {
  Metrics metrics;
  metrics.answered("/embed", 200, 0.004);
  metrics.answered("/embed", 200, 0.2);
  metrics.answered("/embed", 429, 0.001);
  metrics.reject(Rejected::queue);
  metrics.queue_tokens.set(12);
  metrics.tokens.add(7);
  const std::string text = metrics.text();
  EXPECT_TRUE(has_line(text, "octavo_requests_total{path=\"/embed\",status=\"200\"} 2"));
  EXPECT_TRUE(has_line(text, "octavo_requests_total{path=\"/embed\",status=\"429\"} 1"));
  EXPECT_TRUE(has_line(text, "octavo_request_seconds_bucket{path=\"/embed\",le=\"0.005\"} 2"));
  EXPECT_TRUE(has_line(text, "octavo_rejected_total{reason=\"queue\"} 1"));
  EXPECT_TRUE(has_line(text, "octavo_queue_tokens 12"));
  EXPECT_TRUE(has_line(text, "octavo_tokens_total 7"));
}

// What Prometheus would stumble over: a line that is neither a comment nor "name{labels} number", a
// series without its TYPE, a TYPE twice.
TEST(Metrics, AreInPrometheusForm) {
  Metrics metrics;
  metrics.answered("/embed", 200, 0.004);
  std::string text = metrics.text();
  std::string family;
  std::vector<std::string> families;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string line = text.substr(at, end - at);
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_EQ(std::count(families.begin(), families.end(), family), 0) << line;
      families.push_back(family);
    } else if (!line.starts_with("# HELP ")) {
      EXPECT_TRUE(line.starts_with(family)) << line;
      EXPECT_NE(line.find_last_of(' '), std::string::npos) << line;
    }
  }
  EXPECT_EQ(text.back(), '\n');
  EXPECT_GT(families.size(), 15U);
}

}  // namespace
}  // namespace octavo::server
