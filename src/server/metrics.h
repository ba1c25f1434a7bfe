#pragma once
// What the server counts, and the text that Prometheus reads. Every member may be touched from any
// thread; a number is exact, a set of them is not of one instant.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace octavo::server {

class Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void set(uint64_t n) { value_.store(static_cast<int64_t>(n), std::memory_order_relaxed); }
  void add(int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void observe(double value);
  // The lines of one series; labels as in `path="/embed"`, or none.
  void write(std::string& out, std::string_view name, const std::string& labels) const;

 private:
  const std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

// Why a request was turned away before any work.
enum class Rejected : uint8_t { requests, queue, bodies, answers, connections, unauthorized };

struct Metrics {
  Metrics();

  Gauge connections;
  Gauge requests;      // being answered
  Gauge queue_tokens;  // waiting for a model
  Counter tokens;
  Counter texts;
  Counter truncated_texts;
  Counter failed_texts;
  Counter cancelled;
  Counter accept_errors;
  std::array<Counter, 6> rejected;
  Histogram batch_tokens;
  Histogram batch_texts;
  Histogram batch_seconds;
  Histogram queue_seconds;

  void reject(Rejected why) { rejected[static_cast<size_t>(why)].add(); }
  // `path` is one of the routes', never what a client made up.
  void answered(const std::string& path, unsigned status, double seconds);
  // Prometheus text format 0.0.4.
  std::string text() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, unsigned>, uint64_t> statuses_;
  std::map<std::string, Histogram> seconds_;
};

}  // namespace octavo::server
