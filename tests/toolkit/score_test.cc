#include "toolkit/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace octavo {
namespace {

struct Case {
  std::vector<double> values;
  double p0, p1, p5, p50, p99, p100;  // numpy 2.4.6, np.percentile(values, q)
};

TEST(Percentile, IsNumpysToTheLastBit) {
  const Case cases[] = {
      {{0.7559}, 0.7559, 0.7559, 0.7559, 0.7559, 0.7559, 0.7559},
      {{0.9752, 0.5721}, 0.5721, 0.5761310000000001, 0.5922550000000001, 0.77365, 0.971169, 0.9752},
      {{0.9743, 0.6559, 0.7117}, 0.6559, 0.657016, 0.6614800000000001, 0.7117, 0.969048, 0.9743},
      {{0.9139, 0.7046, 0.7748, 0.5138, 0.8768, 0.7691},
       0.5138,
       0.52334,
       0.5615,
       0.77195,
       0.9120450000000001,
       0.9139},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(percentile(c.values, 0), c.p0);
    EXPECT_EQ(percentile(c.values, 1), c.p1);
    EXPECT_EQ(percentile(c.values, 5), c.p5);
    EXPECT_EQ(percentile(c.values, 50), c.p50);
    EXPECT_EQ(percentile(c.values, 99), c.p99);
    EXPECT_EQ(percentile(c.values, 100), c.p100);
  }
}

TEST(Score, CountsDirectionsNotLengths) {
  // Cosines 1, 0, sqrt(1/2), 0: the first of two equal worst texts is the worst.
  const std::vector<float> rows = {3, 0, 0, 2, 1, 1, 5, 0};
  const std::vector<float> reference = {1, 0, 7, 0, 4, 0, 0, 9};
  const Score s = score(rows, reference, 2);
  ASSERT_EQ(s.cosines.size(), 4U);
  EXPECT_EQ(s.cosines[0], 1.0);
  EXPECT_EQ(s.cosines[1], 0.0);
  EXPECT_NEAR(s.cosines[2], std::sqrt(0.5), 1e-15);
  EXPECT_EQ(s.min, 0.0);
  EXPECT_EQ(s.worst, 1U);
  EXPECT_NEAR(s.p50, std::sqrt(0.5) / 2, 1e-15);
  EXPECT_NEAR(s.mean, (1 + std::sqrt(0.5)) / 4, 1e-15);
}

}  // namespace
}  // namespace octavo
