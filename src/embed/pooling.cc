#include "embed/pooling.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace octavo {

void pool(Pooling pooling, const float* hidden, size_t tokens, std::span<float> out) {
  const size_t width = out.size();
  if (pooling != Pooling::mean) {
    const float* row = pooling == Pooling::cls ? hidden : hidden + (tokens - 1) * width;
    std::copy(row, row + width, out.begin());
    return;
  }
  std::vector<double> sum(width, 0.0);
  for (size_t t = 0; t < tokens; ++t) {
    const float* row = hidden + t * width;
    for (size_t j = 0; j < width; ++j) sum[j] += static_cast<double>(row[j]);
  }
  const auto count = static_cast<double>(tokens);
  for (size_t j = 0; j < width; ++j) out[j] = static_cast<float>(sum[j] / count);
}

void l2_normalize(std::span<float> row) {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * static_cast<double>(x);
  if (sum == 0) return;
  const double length = std::sqrt(sum);
  for (float& x : row) x = static_cast<float>(static_cast<double>(x) / length);
}

bool all_finite(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace octavo
