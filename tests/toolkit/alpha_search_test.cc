// The search over alphas against models of a loss that are known: where the best choice is, that
// noise moves nothing, and that a choice which only fits the texts of the search is refused.

#include "toolkit/alpha_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace octavo {
namespace {

constexpr size_t kTexts = 40;

std::vector<std::string> roles_of(size_t layers) {
  std::vector<std::string> roles;
  for (size_t i = 0; i < layers; ++i)
    for (const char* role : {"layers.#.qkv", "layers.#.down"}) roles.emplace_back(role);
  return roles;
}

// Every site has a best alpha; the loss is the sum of squared distances, times a text's own size.
struct Bowl {
  std::vector<double> best;
  double noise = 0;
  bool confirm_differs = false;  // the other half of the texts wants the opposite
  size_t calls = 0;
  std::mt19937 random{7};

  Result<std::vector<double>> operator()(std::span<const double> alphas) {
    ++calls;
    std::normal_distribution<double> normal(0, noise);
    std::vector<double> losses(kTexts);
    for (size_t t = 0; t < kTexts; ++t) {
      double sum = 0.01;
      for (size_t i = 0; i < alphas.size(); ++i) {
        const bool other = confirm_differs && t % 2 == 1;
        const double distance = alphas[i] - (other ? 1 - best[i] : best[i]);
        sum += distance * distance;
      }
      losses[t] = sum * (1 + 0.1 * static_cast<double>(t % 7)) + (noise > 0 ? normal(random) : 0);
    }
    return losses;
  }
};

Result<AlphaChoice> search(Bowl& bowl, size_t sites, size_t evaluations) {
  const AlphaJudge judge = [&](std::span<const double> alphas) { return bowl(alphas); };
  return search_alphas(roles_of(sites / 2), judge, {evaluations});
}

TEST(AlphaSearch, FindsOneAlphaForAll) {
  Bowl bowl{std::vector<double>(12, 0.65)};
  const auto found = search(bowl, 12, 9);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->fixed, 0.65);
  EXPECT_EQ(found->alphas, std::vector<double>(12, 0.65));
  EXPECT_EQ(bowl.calls, 9U);  // the grid and both sides of its best: of 0.6 or 0.7
}

TEST(AlphaSearch, FindsTheAlphaOfARoleAndOfADepth) {
  Bowl bowl{std::vector<double>(16, 0.5)};
  for (size_t i = 1; i < 16; i += 2) bowl.best[i] = 0.7;  // every down projection
  bowl.best[0] = bowl.best[2] = 0.2;                      // q, k, v of the first two layers
  const auto found = search(bowl, 16, 200);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->refused);
  EXPECT_LT(found->loss, found->loss_fixed / 5);
  // Steps are of 0.1 from the best single alpha, so each site comes within half a step.
  for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(found->alphas[i], bowl.best[i], 0.051) << i;
}

TEST(AlphaSearch, NoiseMovesNothing) {
  size_t moved = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    Bowl bowl{std::vector<double>(8, 0.5)};
    bowl.random.seed(seed);
    bowl.noise = 0.5;  // far above what a site's step changes
    const auto found = search(bowl, 8, 60);
    ASSERT_TRUE(found);
    // What chance moved must not have made the confirmed loss worse.
    EXPECT_LE(found->refused ? found->confirmed_fixed : found->confirmed, found->confirmed_fixed);
    for (const double alpha : found->alphas) moved += std::abs(alpha - found->fixed) > 0.2 ? 1 : 0;
  }
  EXPECT_LT(moved, 16U);  // of 160 sites
}

// Losses that no alpha changes: what the steps find is luck, and the other texts see through nearly
// all of it (with a standard error for enough a fifth passes, with any gain a half).
TEST(AlphaSearch, LuckIsRefused) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal(1, 0.1);
  const AlphaJudge judge = [&](std::span<const double> /*alphas*/) {
    std::vector<double> losses(64);
    for (double& loss : losses) loss = normal(random);
    return Result<std::vector<double>>(std::move(losses));
  };
  size_t refused = 0;
  size_t passed = 0;
  for (size_t i = 0; i < 1000; ++i) {
    const auto found = search_alphas(roles_of(4), judge, {40});
    ASSERT_TRUE(found);
    const bool moved = found->alphas != std::vector<double>(8, found->fixed);
    EXPECT_FALSE(found->refused && moved);
    passed += moved ? 1 : 0;
    refused += found->refused ? 1 : 0;
  }
  EXPECT_GT(refused, 100U);
  EXPECT_LT(passed * 10, refused);
}

TEST(AlphaSearch, RefusesWhatOnlyItsOwnTextsLike) {
  Bowl bowl{std::vector<double>(8, 0.5)};
  bowl.best[1] = 0.9;
  bowl.best[4] = 0.2;
  bowl.confirm_differs = true;
  const auto found = search(bowl, 8, 100);
  ASSERT_TRUE(found);
  EXPECT_LT(found->loss, found->loss_fixed);
  EXPECT_TRUE(found->refused);
  EXPECT_EQ(found->alphas, std::vector<double>(8, found->fixed));
}

// A gain on the confirming texts that is smaller than its standard error is none.
TEST(AlphaSearch, RefusesAGainThatMayBeChance) {
  for (const double spread : {0.0, 2.0}) {
    const AlphaJudge judge = [&](std::span<const double> alphas) {
      std::vector<double> losses(64);
      const double apart = alphas[0] - 0.3;
      for (size_t t = 0; t < losses.size(); ++t) {
        losses[t] = 1;
        for (const double alpha : alphas) losses[t] += (alpha - 0.5) * (alpha - 0.5);
        losses[t] += 0.3 * std::abs(apart);  // the first site wants 0.3
        // What it does to single texts of the confirmation: up and down by turns.
        if (t % 2 == 1) losses[t] += spread * std::abs(alphas[0] - 0.5) * (t % 4 == 1 ? 1 : -1);
      }
      return Result<std::vector<double>>(std::move(losses));
    };
    const auto found = search_alphas(roles_of(2), judge, {100});
    ASSERT_TRUE(found);
    EXPECT_LT(found->confirmed, found->confirmed_fixed);
    EXPECT_EQ(found->refused, spread > 0) << spread;
  }
}

TEST(AlphaSearch, KeepsWithinItsBudgetAndTheRange) {
  Bowl bowl{std::vector<double>(8, 1.5)};  // the best lies outside
  const auto found = search(bowl, 8, 30);
  ASSERT_TRUE(found);
  EXPECT_LE(bowl.calls, 30U);
  EXPECT_EQ(found->trials.size(), bowl.calls);
  for (const double alpha : found->alphas) {
    EXPECT_GE(alpha, 0);
    EXPECT_LE(alpha, 1);
  }
}

TEST(AlphaSearch, Refusals) {
  Bowl bowl{std::vector<double>(2, 0.5)};
  const AlphaJudge few = [](std::span<const double> /*alphas*/) {
    return Result<std::vector<double>>(std::vector<double>{0.1, 0.2, 0.3});
  };
  EXPECT_EQ(search_alphas(roles_of(1), few, {}).error().code, Code::invalid_input);
  const AlphaJudge fails = [](std::span<const double> /*alphas*/) {
    return Result<std::vector<double>>(Error{Code::io, "no"});
  };
  EXPECT_EQ(search_alphas(roles_of(1), fails, {}).error().code, Code::io);
  EXPECT_EQ(search_alphas({}, fails, {}).error().code, Code::invalid_input);
}

TEST(AlphaSearch, RoleOfANode) {
  EXPECT_EQ(role_of("/layers.12/mlp/down_proj/MatMul_3"), "/layers.#/mlp/down_proj/MatMul_#");
  EXPECT_EQ(role_of(""), "");
}

}  // namespace
}  // namespace octavo
