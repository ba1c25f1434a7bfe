#include "toolkit/retrieval_score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "toolkit/score.h"

namespace octavo {

namespace {

// The order in which documents are ranked.
struct Before {
  std::span<const double> scores;
  bool operator()(uint32_t a, uint32_t b) const {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  }
};

double recall(std::span<const uint32_t> first, std::span<const size_t> relevant, size_t k) {
  size_t hits = 0;
  for (size_t i = 0; i < std::min(k, first.size()); ++i)
    hits += std::binary_search(relevant.begin(), relevant.end(), size_t{first[i]}) ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(std::min(k, relevant.size()));
}

double ndcg(std::span<const uint32_t> first, std::span<const size_t> relevant, size_t k) {
  double gain = 0;
  double ideal = 0;
  for (size_t i = 0; i < k; ++i) {
    const double discount = 1 / std::log2(static_cast<double>(i) + 2);
    if (i < relevant.size()) ideal += discount;
    if (i < first.size() && std::binary_search(relevant.begin(), relevant.end(), size_t{first[i]}))
      gain += discount;
  }
  return gain / ideal;
}

uint64_t splitmix64(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

QueryScore score_query(std::span<const double> scores, std::span<const size_t> relevant) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), uint32_t{0});
  const size_t kept = std::min(kCompared, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept), order.end(),
                    Before{scores});
  order.resize(kept);
  return {ndcg(order, relevant, 10), recall(order, relevant, 1), recall(order, relevant, 10),
          std::move(order)};
}

double overlap10(const QueryScore& reference, const QueryScore& variant) {
  const size_t k = std::min<size_t>(10, reference.first.size());
  size_t same = 0;
  for (size_t i = 0; i < k; ++i) {
    const auto end = variant.first.begin() + static_cast<ptrdiff_t>(k);
    same += std::find(variant.first.begin(), end, reference.first[i]) != end ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(k);
}

double rank_correlation(const QueryScore& reference, std::span<const double> scores) {
  const size_t n = reference.first.size();
  if (n < 2) return 1;
  // By position in the reference's order; what stands at i in `order` has rank i here.
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), uint32_t{0});
  const Before before{scores};
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return before(reference.first[a], reference.first[b]); });
  double squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const double apart = static_cast<double>(order[i]) - static_cast<double>(i);
    squares += apart * apart;
  }
  const double count = static_cast<double>(n);
  return 1 - 6 * squares / (count * (count * count - 1));
}

void dot_products(std::span<const float> rows, std::span<const float> query,
                  std::span<double> out) {
  const size_t width = query.size();
  for (size_t d = 0; d < out.size(); ++d) {
    const float* row = rows.data() + d * width;
    // Four sums: additions that wait for one another would take four times as long.
    double sums[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < width; ++i)
      sums[i % 4] += static_cast<double>(row[i]) * static_cast<double>(query[i]);
    out[d] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
}

double anisotropy(std::span<const float> rows, size_t width, std::span<const size_t> chosen) {
  if (chosen.size() < 2) return 0;
  std::vector<double> sum(width, 0.0);
  double own = 0;
  for (const size_t row : chosen) {
    for (size_t i = 0; i < width; ++i) {
      const double x = static_cast<double>(rows[row * width + i]);
      sum[i] += x;
      own += x * x;
    }
  }
  double square = 0;
  for (const double x : sum) square += x * x;
  const double count = static_cast<double>(chosen.size());
  return (square - own) / (count * (count - 1));
}

EvaluateReport::Change bootstrap_change(std::span<const double> differences, size_t resamples,
                                        uint64_t seed) {
  const auto count = static_cast<double>(differences.size());
  EvaluateReport::Change out;
  out.mean = std::accumulate(differences.begin(), differences.end(), 0.0) / count;
  if (resamples == 0) {
    out.low = out.high = out.mean;
    return out;
  }
  std::vector<double> distances(resamples);
  for (double& distance : distances) {
    double sum = 0;
    for (const double difference : differences)
      sum += splitmix64(seed) >> 63 == 0 ? difference : -difference;
    distance = std::abs(sum / count);
  }
  const double reach = percentile(distances, 95);
  out.low = out.mean - reach;
  out.high = out.mean + reach;
  return out;
}

}  // namespace octavo
