#include "embed/pooling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace octavo {
namespace {

TEST(Pooling, TakesTheRightRows) {
  const std::vector<float> hidden{1, 10, 2, 20, 6, 60};  // three tokens, width 2
  std::vector<float> out(2);
  pool(Pooling::cls, hidden.data(), 3, out);
  EXPECT_EQ(out, (std::vector<float>{1, 10}));
  pool(Pooling::last_token, hidden.data(), 3, out);
  EXPECT_EQ(out, (std::vector<float>{6, 60}));
  pool(Pooling::mean, hidden.data(), 3, out);
  EXPECT_EQ(out, (std::vector<float>{3, 30}));
  pool(Pooling::mean, hidden.data(), 1, out);
  EXPECT_EQ(out, (std::vector<float>{1, 10}));
}

TEST(Pooling, MeanIsAccumulatedInDoublePrecision) {
  // 2^24 + 1 is no float: a float32 sum would lose every one of the ones.
  std::vector<float> hidden(1001, 1.0F);
  hidden[0] = 16777216.0F;
  std::vector<float> out(1);
  pool(Pooling::mean, hidden.data(), 1001, out);
  EXPECT_EQ(out[0], static_cast<float>((16777216.0 + 1000.0) / 1001.0));
}

TEST(Pooling, NormalisesToLengthOne) {
  for (const float scale : {1.0F, 1e-38F, 1e30F, 1e-45F}) {
    std::vector<float> row{3 * scale, -4 * scale};
    l2_normalize(row);
    EXPECT_NEAR(std::hypot(row[0], row[1]), 1.0, 1e-6) << scale;
    EXPECT_LT(row[1], 0.0F);
  }
  std::vector<float> zero{0.0F, -0.0F};
  l2_normalize(zero);
  EXPECT_EQ(zero, (std::vector<float>{0.0F, -0.0F}));
}

TEST(Pooling, SeesWhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(all_finite(std::vector<float>{0, -1e38F}));
  EXPECT_FALSE(all_finite(std::vector<float>{0, inf}));
  EXPECT_FALSE(all_finite(std::vector<float>{std::nanf(""), 0}));
}

}  // namespace
}  // namespace octavo
