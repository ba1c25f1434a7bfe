// Choosing sites against a model of the loss whose best answer is known.

#include "toolkit/protection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace octavo {
namespace {

std::vector<ProtectionSite> sites_of(size_t layers) {
  std::vector<ProtectionSite> sites;
  for (size_t i = 0; i < layers; ++i) {
    sites.push_back({"layers." + std::to_string(i) + ".qkv", 3});
    sites.push_back({"layers." + std::to_string(i) + ".down", 2});
  }
  return sites;
}

double largest(const std::vector<double>& losses) {
  return *std::max_element(losses.begin(), losses.end());
}

// A narrow site adds its loss; text 0 suffers twice as much as the others.
struct Sum {
  std::vector<double> loss;
  size_t calls = 0;
  Result<std::vector<double>> operator()(std::span<const double> wide, bool part) {
    ++calls;
    double sum = 1e-4;
    for (size_t i = 0; i < wide.size(); ++i) sum += wide[i] == 0 ? loss[i] : 0;
    std::vector<double> losses{2 * sum, sum, sum, 2 * sum};
    return part ? std::vector<double>{losses[0], losses[3]} : losses;
  }
};

Result<ProtectionChoice> choose(Sum& sum, const ProtectionGoal& goal) {
  const ProtectionJudge judge = [&](std::span<const double> wide, bool part) {
    return sum(wide, part);
  };
  return choose_protection(sites_of(sum.loss.size() / 2), judge, goal);
}

TEST(Protection, TakesTheFewestThatReachTheTarget) {
  Sum sum{{1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 5e-3, 1e-4, 1e-4, 2e-3, 1e-4}};
  // 1 - 2 (1e-4 + 8 * 1e-4 + 2e-3) = 0.9942 with site 5, 0.9982 with 5 and 8.
  const auto choice = choose(sum, {.target_cos = 0.998, .max_extra = 1, .evaluations = 64});
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_TRUE(choice->reached);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(choice->wide[i], i == 5 || i == 8) << i;
  EXPECT_NEAR(choice->extra, 5.0 / 25, 1e-12);
  EXPECT_NEAR(choice->worth[5], 5e-3 * 2, 1e-12);
  EXPECT_NEAR(largest(choice->chosen), 2 * 9e-4, 1e-12);
  EXPECT_NEAR(largest(choice->narrow), 2 * 7.9e-3, 1e-12);
  EXPECT_NEAR(largest(choice->all), 2e-4, 1e-12);
}

TEST(Protection, WeighsWhatASiteCosts) {
  // The same loss: "down" has fewer products, so it comes first.
  Sum sum{std::vector<double>(10, 1e-3)};
  const auto choice = choose(sum, {.target_cos = 1, .max_extra = 0.4, .evaluations = 64});
  ASSERT_TRUE(choice);
  EXPECT_FALSE(choice->reached);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(choice->wide[i], i % 2 == 1) << i;
  EXPECT_NEAR(choice->extra, 0.4, 1e-12);
}

TEST(Protection, FillsWhatIsLeftWithSmallerOnes) {
  // 3 of 25 products go to "qkv" of layer 2; another 3 do not fit into the 2 that are left.
  Sum sum{{1e-4, 1e-4, 1e-4, 1e-4, 9e-3, 1e-4, 6e-3, 1e-4, 1e-4, 2e-4}};
  const auto choice = choose(sum, {.target_cos = 1, .max_extra = 0.2, .evaluations = 64});
  ASSERT_TRUE(choice);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(choice->wide[i], i == 4 || i == 9) << i;
  EXPECT_NEAR(choice->extra, 0.2, 1e-12);
}

TEST(Protection, NothingToDoMeasuresNothing) {
  Sum sum{std::vector<double>(10, 1e-6)};
  const auto choice = choose(sum, {.target_cos = 0.99, .max_extra = 1, .evaluations = 64});
  ASSERT_TRUE(choice);
  EXPECT_TRUE(choice->reached);
  EXPECT_EQ(choice->extra, 0);
  EXPECT_EQ(sum.calls, 2U);
}

TEST(Protection, JoinsNeighboursWithinTheEvaluations) {
  Sum sum{std::vector<double>(40, 1e-4)};
  sum.loss[7] = 0.1;
  const auto choice = choose(sum, {.target_cos = 1, .max_extra = 0.1, .evaluations = 10});
  ASSERT_TRUE(choice);
  EXPECT_LE(sum.calls, 2 + 10 + 1U);
  EXPECT_TRUE(choice->wide[7]);
}

TEST(Protection, ABudgetThatBuysNothing) {
  Sum sum{std::vector<double>(4, 1e-2)};
  const auto choice = choose(sum, {.target_cos = 1, .max_extra = 0.01, .evaluations = 64});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->extra, 0);
  EXPECT_EQ(choice->chosen, choice->narrow);
  const ProtectionJudge fails = [](std::span<const double> /*wide*/, bool /*part*/) {
    return Result<std::vector<double>>(Error{Code::io, "no"});
  };
  EXPECT_EQ(choose_protection(sites_of(1), fails, {}).error().code, Code::io);
  EXPECT_EQ(choose_protection({}, fails, {}).error().code, Code::invalid_input);
}

}  // namespace
}  // namespace octavo
