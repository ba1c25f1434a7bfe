#include "toolkit/output_difference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"

namespace octavo {

namespace {

// float16 has 10 bits after the leading one, bfloat16 7: two values beside each other may round to
// neighbours, which are at most that part of the largest apart.
constexpr double kHalfStep = 1.0 / (1 << 10);
constexpr double kBfloatStep = 1.0 / (1 << 7);

// Exact for all four types; empty for others.
std::vector<double> widened(const Tensor& t) {
  std::vector<double> out(static_cast<size_t>(t.size()));
  const auto from = [&](auto values, auto convert) {
    std::transform(values.begin(), values.end(), out.begin(), convert);
    return out;
  };
  const auto same = [](auto x) { return static_cast<double>(x); };
  switch (t.dtype()) {
    case DType::f32:
      return from(t.values<float>(), same);
    case DType::f64:
      return from(t.values<double>(), same);
    case DType::f16:
      return from(t.values<uint16_t>(), [](uint16_t x) { return double{f16_to_f32(x)}; });
    case DType::bf16:
      return from(t.values<uint16_t>(), [](uint16_t x) { return double{bf16_to_f32(x)}; });
    default:
      return {};
  }
}

double rounding_of(DType dtype) {
  if (dtype == DType::f16) return kHalfStep;
  return dtype == DType::bf16 ? kBfloatStep : 0;
}

}  // namespace

std::optional<OutputDifference> output_difference(const Tensor& actual, const Tensor& expected) {
  const std::vector<double> b = widened(expected);
  if (b.empty()) return std::nullopt;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  OutputDifference difference{.rounding = rounding_of(expected.dtype())};
  const std::vector<double> a = widened(actual);
  if (actual.shape() != expected.shape() || actual.dtype() != expected.dtype()) {
    difference.relative = kInfinity;
    return difference;
  }
  double range = 0;
  double worst = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (std::isfinite(b[i])) range = std::max(range, std::abs(b[i]));
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double apart = std::abs(a[i] - b[i]);
    worst = std::isnan(apart) ? kInfinity : std::max(worst, apart);
  }
  // An output that was all zero and no longer is differs without limit.
  if (worst > 0) difference.relative = range > 0 ? worst / range : kInfinity;
  return difference;
}

}  // namespace octavo
