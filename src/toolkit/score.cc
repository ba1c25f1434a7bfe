#include "toolkit/score.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tensor/compare.h"

namespace octavo {

double percentile(std::span<const double> values, double q) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double point = q / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(point));
  const double low = sorted[below];
  const double high = sorted[std::min(below + 1, sorted.size() - 1)];
  const double t = point - static_cast<double>(below);
  // From the nearer end, as numpy does: the last bit then agrees with it.
  return t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t);
}

Score summarize(std::vector<double> cosines) {
  Score out;
  out.cosines = std::move(cosines);
  const auto smallest = std::min_element(out.cosines.begin(), out.cosines.end());
  out.min = *smallest;
  out.worst = static_cast<size_t>(smallest - out.cosines.begin());
  out.p1 = percentile(out.cosines, 1);
  out.p5 = percentile(out.cosines, 5);
  out.p50 = percentile(out.cosines, 50);
  out.mean = std::accumulate(out.cosines.begin(), out.cosines.end(), 0.0) /
             static_cast<double>(out.cosines.size());
  return out;
}

Score score(std::span<const float> rows, std::span<const float> reference, size_t width) {
  std::vector<double> cosines;
  for (size_t at = 0; at < rows.size(); at += width)
    cosines.push_back(cosine(rows.subspan(at, width), reference.subspan(at, width)));
  return summarize(std::move(cosines));
}

}  // namespace octavo
