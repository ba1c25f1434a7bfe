#include "tensor/compare.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>

namespace octavo {

double cosine(std::span<const float> a, std::span<const float> b) {
  assert(a.size() == b.size());
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    const double y = b[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  if (aa == 0 || bb == 0) return 0;
  return ab / std::sqrt(aa * bb);
}

double max_abs_difference(std::span<const float> a, std::span<const float> b) {
  assert(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (std::isnan(d)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, d);
  }
  return worst;
}

double relative_difference(std::span<const float> a, std::span<const float> reference) {
  double range = 0;
  for (const float x : reference) range = std::max(range, std::abs(static_cast<double>(x)));
  const double d = max_abs_difference(a, reference);
  return d == 0 ? 0 : d / range;
}

double norm(std::span<const float> a) {
  double sum = 0;
  for (const float x : a) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

}  // namespace octavo
