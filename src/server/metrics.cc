#include "server/metrics.h"

#include <algorithm>
#include <charconv>

#include "octavo/version.h"

namespace octavo::server {

namespace {

const std::vector<double> kSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                      0.5,   1,      2.5,   5,    10,    30,   60};
const std::vector<double> kTokens = {16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const std::vector<double> kTexts = {1, 2, 4, 8, 16, 32, 64, 128, 256};

constexpr std::array<std::string_view, 6> kRejected = {"requests", "queue",       "bodies",
                                                       "answers",  "connections", "unauthorized"};

std::string number(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out.append(name).append(" ").append(type).append("\n");
}

void line(std::string& out, std::string_view name, const std::string& labels,
          const std::string& value) {
  out.append(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}

void counter(std::string& out, std::string_view name, std::string_view help, const Counter& c) {
  head(out, name, "counter", help);
  line(out, name, "", std::to_string(c.value()));
}

void gauge(std::string& out, std::string_view name, std::string_view help, const Gauge& g) {
  head(out, name, "gauge", help);
  line(out, name, "", std::to_string(g.value()));
}

void histogram(std::string& out, std::string_view name, std::string_view help, const Histogram& h) {
  head(out, name, "histogram", help);
  h.write(out, name, "");
}

}  // namespace

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  const std::lock_guard lock(mutex_);
  ++counts_[static_cast<size_t>(bucket)];
  sum_ += value;
}

void Histogram::write(std::string& out, std::string_view name, const std::string& labels) const {
  const std::string base(name);
  const std::string before = labels.empty() ? "" : labels + ",";
  const std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
    line(out, base + "_bucket", before + "le=\"" + bound + "\"", std::to_string(total));
  }
  line(out, base + "_sum", labels, number(sum_));
  line(out, base + "_count", labels, std::to_string(total));
}

Metrics::Metrics()
    : batch_tokens(kTokens),
      batch_texts(kTexts),
      batch_seconds(kSeconds),
      queue_seconds(kSeconds) {}

void Metrics::answered(const std::string& path, unsigned status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++statuses_[{path, status}];
  seconds_.try_emplace(path, kSeconds).first->second.observe(seconds);
}

std::string Metrics::text() const {
  std::string out;
  head(out, "octavo_build_info", "gauge", "The version that runs.");
  line(out, "octavo_build_info", "version=\"" + std::string(kVersion) + "\"", "1");
  gauge(out, "octavo_connections", "Connections that are open.", connections);
  gauge(out, "octavo_requests_in_flight", "Requests being answered.", requests);
  gauge(out, "octavo_queue_tokens", "Tokens that wait for a model.", queue_tokens);
  counter(out, "octavo_tokens_total", "Tokens that ran through a model.", tokens);
  counter(out, "octavo_texts_total", "Texts that ran through a model.", texts);
  counter(out, "octavo_truncated_texts_total", "Texts cut to a model's limit.", truncated_texts);
  counter(out, "octavo_failed_texts_total",
          "Texts without a vector: no finite number came out, or memory ended.", failed_texts);
  counter(out, "octavo_cancelled_total", "Requests whose client left before the answer.",
          cancelled);
  counter(out, "octavo_accept_errors_total", "Connections that could not be taken.", accept_errors);
  head(out, "octavo_rejected_total", "counter", "Requests turned away, by the limit.");
  for (size_t i = 0; i < kRejected.size(); ++i)
    line(out, "octavo_rejected_total", "reason=\"" + std::string(kRejected[i]) + "\"",
         std::to_string(rejected[i].value()));
  histogram(out, "octavo_batch_tokens", "Tokens of a batch.", batch_tokens);
  histogram(out, "octavo_batch_texts", "Texts of a batch.", batch_texts);
  histogram(out, "octavo_batch_seconds", "Time of a batch in a model.", batch_seconds);
  histogram(out, "octavo_queue_seconds", "Time from the queue's end to its head, a request.",
            queue_seconds);
  const std::lock_guard lock(mutex_);
  head(out, "octavo_requests_total", "counter", "Answers, by path and status.");
  for (const auto& [key, count] : statuses_)
    line(out, "octavo_requests_total",
         "path=\"" + key.first + "\",status=\"" + std::to_string(key.second) + "\"",
         std::to_string(count));
  head(out, "octavo_request_seconds", "histogram",
       "Time from a request's first byte to the end of its answer.");
  for (const auto& [path, times] : seconds_)
    times.write(out, "octavo_request_seconds", "path=\"" + path + "\"");
  return out;
}

}  // namespace octavo::server
