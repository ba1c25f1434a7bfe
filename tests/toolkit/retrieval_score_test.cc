// Small cases worked out by hand; the oracle test holds whole reports against numpy.

#include "toolkit/retrieval_score.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace octavo {
namespace {

using Scores = std::vector<double>;
using Relevant = std::vector<size_t>;

TEST(ScoreQuery, CountsRelevantDocumentsOnTop) {
  // Order 2, 0, 3, 1: the relevant ones stand at ranks 2 and 4.
  const QueryScore score = score_query(Scores{0.8, 0.1, 0.9, 0.5}, Relevant{0, 1});
  EXPECT_EQ(score.first, (std::vector<uint32_t>{2, 0, 3, 1}));
  EXPECT_EQ(score.recall1, 0);
  EXPECT_EQ(score.recall10, 1);
  EXPECT_DOUBLE_EQ(score.ndcg10, (1 / std::log2(3) + 1 / std::log2(5)) / (1 + 1 / std::log2(3)));
}

TEST(ScoreQuery, EqualScoresKeepTheOrderOfTheSet) {
  EXPECT_EQ(score_query(Scores{1, 2, 2, 1}, Relevant{0}).first,
            (std::vector<uint32_t>{1, 2, 0, 3}));
}

TEST(ScoreQuery, MoreRelevantDocumentsThanPlacesCanStillBePerfect) {
  Scores scores;
  Relevant relevant;
  for (size_t i = 0; i < 150; ++i) scores.push_back(1 - 0.001 * static_cast<double>(i));
  for (size_t i = 0; i < 30; ++i) relevant.push_back(i);
  const QueryScore score = score_query(scores, relevant);
  EXPECT_DOUBLE_EQ(score.ndcg10, 1);
  EXPECT_EQ(score.recall1, 1);
  EXPECT_EQ(score.recall10, 1);
  EXPECT_EQ(score.first.size(), kCompared);
}

TEST(Overlap, IsTheShareOfTheSameDocuments) {
  Scores scores;
  for (size_t i = 0; i < 20; ++i) scores.push_back(20 - static_cast<double>(i));
  const QueryScore reference = score_query(scores, Relevant{0});
  scores[3] = -1;  // falls out of the first ten, and document 10 comes in
  std::swap(scores[0], scores[1]);
  EXPECT_DOUBLE_EQ(overlap10(reference, score_query(scores, Relevant{0})), 0.9);
  EXPECT_DOUBLE_EQ(overlap10(reference, reference), 1);
  const QueryScore few = score_query(Scores{3, 1, 2}, Relevant{0});
  EXPECT_DOUBLE_EQ(overlap10(few, few), 1);
}

TEST(RankCorrelation, IsSpearmans) {
  const QueryScore reference = score_query(Scores{5, 4, 3, 2, 1}, Relevant{0});
  EXPECT_DOUBLE_EQ(rank_correlation(reference, Scores{5, 4, 3, 2, 1}), 1);
  EXPECT_DOUBLE_EQ(rank_correlation(reference, Scores{1, 2, 3, 4, 5}), -1);
  // Ranks 1 2 3 4 5 against 2 1 3 5 4: squared differences 1 1 0 1 1.
  EXPECT_DOUBLE_EQ(rank_correlation(reference, Scores{4, 5, 3, 1, 2}), 1 - 6.0 * 4 / (5 * 24));
  EXPECT_EQ(rank_correlation(score_query(Scores{1}, Relevant{0}), Scores{1}), 1);
}

TEST(Anisotropy, IsTheMeanCosineOfPairs) {
  const std::vector<float> rows = {1, 0, 0, 1, 1, 0, -1, 0};
  // Pairs of rows 0..3: 0, 1, -1, 0, 0, -1.
  EXPECT_DOUBLE_EQ(anisotropy(rows, 2, Relevant{0, 1, 2, 3}), -1.0 / 6);
  EXPECT_DOUBLE_EQ(anisotropy(rows, 2, Relevant{0, 2}), 1);
  EXPECT_EQ(anisotropy(rows, 2, Relevant{0}), 0);
}

TEST(DotProducts, OfAnyWidth) {
  for (size_t width = 1; width < 10; ++width) {
    std::vector<float> rows(3 * width);
    std::vector<float> query(width);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i) - 4;
    for (size_t i = 0; i < width; ++i) query[i] = static_cast<float>(i * i) + 1;
    std::vector<double> out(3);
    dot_products(rows, query, out);
    for (size_t row = 0; row < 3; ++row) {
      double expected = 0;
      for (size_t i = 0; i < width; ++i) expected += rows[row * width + i] * query[i];
      EXPECT_DOUBLE_EQ(out[row], expected) << width;
    }
  }
}

TEST(Bootstrap, IsReproducibleAndAroundTheMean) {
  const std::vector<double> differences = {0.1, -0.2, 0, 0, 0.05, -0.1, 0.3, 0, 0, 0};
  const auto a = bootstrap_change(differences, 500, 1);
  const auto b = bootstrap_change(differences, 500, 1);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_DOUBLE_EQ(a.mean, 0.015);
  EXPECT_LT(a.low, a.mean);
  EXPECT_GT(a.high, a.mean);
  EXPECT_TRUE(a.holds_zero());
  EXPECT_DOUBLE_EQ(a.high - a.mean, a.mean - a.low);
  const auto none = bootstrap_change(differences, 0, 1);
  EXPECT_EQ(none.low, none.mean);
  EXPECT_EQ(none.high, none.mean);
}

// 5 that agree are what a coin gives one time in 16, 6 one time in 32; zeros say nothing.
TEST(Bootstrap, SixThatAgreeAreAChangeAndFiveAreNot) {
  for (const size_t zeros : {0, 84}) {
    std::vector<double> differences(zeros, 0.0);
    differences.insert(differences.end(), 5, -0.1);
    EXPECT_TRUE(bootstrap_change(differences, 4000, 1).holds_zero()) << zeros;
    differences.push_back(-0.1);
    EXPECT_FALSE(bootstrap_change(differences, 4000, 1).holds_zero()) << zeros;
  }
}

// Draws without a change, as quantization makes them: few differ, and those by very different
// sizes.
TEST(Bootstrap, HoldsZeroAsOftenAsItSays) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> size(-3.5, 1.2);
  // Of 6 signs only one way in 16 is beyond 95%: fewer are rejected than 25 of 500 there.
  for (const auto& [differ, least, most] :
       {std::array{6, 475, 496}, {12, 460, 490}, {40, 460, 490}}) {
    int held = 0;
    for (int draw = 0; draw < 500; ++draw) {
      std::vector<double> differences(90, 0.0);
      for (int i = 0; i < differ; ++i)
        differences[static_cast<size_t>(i)] = random() % 2 == 0 ? size(random) : -size(random);
      held += bootstrap_change(differences, 500, static_cast<uint64_t>(draw)).holds_zero();
    }
    EXPECT_GE(held, least) << differ;  // standard error: 5
    EXPECT_LE(held, most) << differ;
  }
}

}  // namespace
}  // namespace octavo
