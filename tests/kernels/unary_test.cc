// The functions of one variable: distance from double in units of the last place over the whole
// range, and every instruction set against `ref`, byte for byte.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::same_bytes;

struct Case {
  const char* name;
  UnaryF32 Table::*function;
  double (*exact)(double);
  double max_ulp;       // measured, rounded up
  double absolute = 0;  // errors below this do not count: where the formula itself cancels
};

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double exact_gelu_tanh(double x) {
  return x * exact_sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}
double exact_silu(double x) { return x * exact_sigmoid(x); }
double exact_exp(double x) { return std::exp(x); }
double exact_erf(double x) { return std::erf(x); }
double exact_tanh(double x) { return std::tanh(x); }

const Case kCases[] = {
    {"exp", &Table::exp_f32, exact_exp, 1.1},
    {"erf", &Table::erf_f32, exact_erf, 1.5},
    {"tanh", &Table::tanh_f32, exact_tanh, 1.5},
    {"sigmoid", &Table::sigmoid_f32, exact_sigmoid, 2.5},
    {"gelu", &Table::gelu_f32, exact_gelu, 3, 7e-8},
    {"gelu_tanh", &Table::gelu_tanh_f32, exact_gelu_tanh, 3, 7e-8},
    {"silu", &Table::silu_f32, exact_silu, 3, 1e-41},
};

// Every `step`th float of both signs (4 million for 1009), denormals and infinities included, and
// all the round numbers where branches meet.
std::vector<float> samples(uint64_t step) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits <= 0x7f800000U; bits += step) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    x.push_back(-x.back());
  }
  for (const float special :
       {0.0F, 0.625F, 1.0F, 4.0F, 10.0F, 87.3F, 88.0F, 88.72283F, 89.0F, 103.9F, 104.0F,
        std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min(),
        std::numeric_limits<float>::max()}) {
    for (const float v : {special, std::nextafter(special, 0.0F), std::nextafter(special, 1e38F)}) {
      x.push_back(v);
      x.push_back(-v);
    }
  }
  return x;
}

double ulp_distance(float got, double want) {
  if (std::isnan(got)) return std::numeric_limits<double>::infinity();
  if (std::isinf(got)) {
    // Right when the exact value rounds to infinity too.
    return std::isinf(static_cast<float>(want)) && (got > 0) == (want > 0)
               ? 0
               : std::numeric_limits<double>::infinity();
  }
  const int exponent = std::max(std::ilogb(want == 0 ? 1e-300 : want), -126);
  return std::abs(static_cast<double>(got) - want) / std::ldexp(1.0, exponent - 23);
}

class Unary : public testing::TestWithParam<Case> {};

TEST_P(Unary, RefIsCloseToDouble) {
  const auto x = samples(1009);
  std::vector<float> y(x.size());
  (kRef.*GetParam().function)(x.size(), x.data(), y.data());
  double worst = 0;
  float worst_at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = GetParam().exact(x[i]);
    if (std::isnan(want)) continue;  // inf * 0, as the formula says
    if (std::abs(y[i] - want) <= GetParam().absolute) continue;
    const double distance = ulp_distance(y[i], want);
    if (distance > worst) {
      worst = distance;
      worst_at = x[i];
    }
  }
  RecordProperty("worst_ulp", std::to_string(worst));
  EXPECT_LE(worst, GetParam().max_ulp) << "at " << worst_at;
}

TEST_P(Unary, KeepsNaN) {
  const std::vector<float> x(37, std::numeric_limits<float>::quiet_NaN());
  for (const Table* table : test::tables()) {
    std::vector<float> y(x.size());
    (table->*GetParam().function)(x.size(), x.data(), y.data());
    for (const float v : y) EXPECT_TRUE(std::isnan(v)) << table->name;
  }
}

TEST_P(Unary, EveryIsaGivesTheBytesOfRef) {
  const auto values = samples(8009);
  auto x = Guarded<float>::of(values);
  Guarded<float> want(x.size());
  (kRef.*GetParam().function)(x.size(), x.data(), want.data());
  for (const Table* table : test::tables()) {
    Guarded<float> y(x.size());
    (table->*GetParam().function)(x.size(), x.data(), y.data());
    EXPECT_TRUE(same_bytes(want, y)) << table->name;
    // In place, from an odd address, and every short length: the tail must give the vector's bits.
    for (size_t n = 0; n < 40; ++n) {
      auto part = Guarded<float>::of(std::span(values).subspan(1000 + n * 7001, n));
      Guarded<float> expected(n);
      (kRef.*GetParam().function)(n, part.data(), expected.data());
      (table->*GetParam().function)(n, part.data(), part.data());
      EXPECT_TRUE(same_bytes(expected, part)) << table->name << " n " << n;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, Unary, testing::ValuesIn(kCases),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace octavo::kernels
