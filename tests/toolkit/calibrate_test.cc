#include "toolkit/calibrate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "graph/builder.h"

namespace octavo {
namespace {

using Texts = std::vector<std::vector<int64_t>>;

// ids -> a row of the table -> times -2 -> "y"; row i of the table is {i, -i / 2}.
Model lookup(std::vector<Dim> shape, const std::vector<float>& extra_row = {}) {
  GraphBuilder b("lookup");
  const Value ids = b.input("input_ids", DType::i64, std::move(shape));
  std::vector<float> table;
  for (int i = 0; i < 20; ++i)
    table.insert(table.end(), {static_cast<float>(i), -0.5F * static_cast<float>(i)});
  table.insert(table.end(), extra_row.begin(), extra_row.end());
  const Value rows =
      b.op("Gather",
           {b.initializer(Initializer(
                "table", Tensor::of<float>({static_cast<int64_t>(table.size() / 2), 2}, table))),
            ids});
  b.output(rows * -2.0F, "y", DType::f32, {"batch", "sequence", 2});
  return std::move(b).finish(17);
}

StreamedModel streamed(Model model, int threads = 2) {
  auto made =
      StreamedModel::create(std::move(model), {.pool = std::make_shared<ThreadPool>(threads)});
  EXPECT_TRUE(made) << made.error().message;
  return *std::move(made);
}

TEST(ObserveShapes, TellsTheModelsAxesFromTheCallers) {
  const StreamedModel model = streamed(lookup({"batch", "sequence"}));
  const std::vector<int64_t> ids = {3, 1, 4};
  const auto shapes = observe_shapes(model, ids);
  ASSERT_TRUE(shapes) << shapes.error().message;
  const auto& y = shapes->at("y");
  ASSERT_EQ(y.size(), 2U);
  EXPECT_NE(y[0][0], y[1][0]);
  EXPECT_NE(y[0][1], y[1][1]);
  EXPECT_EQ(y[0][2], 2);
  EXPECT_EQ(y[1][2], 2);
  EXPECT_EQ(shapes->at("input_ids")[0], (Shape{y[0][0], y[0][1]}));
}

TEST(ObserveShapes, KeepsWhatTheGraphFixes) {
  const StreamedModel model = streamed(lookup({int64_t{1}, "sequence"}));
  const auto shapes = observe_shapes(model, std::vector<int64_t>{3});
  ASSERT_TRUE(shapes) << shapes.error().message;
  EXPECT_EQ(shapes->at("y")[0][0], 1);
  EXPECT_EQ(shapes->at("y")[1][0], 1);
  EXPECT_NE(shapes->at("y")[0][1], shapes->at("y")[1][1]);
}

TEST(Calibrate, IsTheLargestOfAllTokensOfAllTexts) {
  const Texts texts = {{1, 2}, {7}, {3, 3, 3, 3}, {5, 0}};
  const std::vector<std::string> values = {"y"};
  std::set<std::vector<float>> seen;
  for (const int threads : {1, 2, 5}) {
    const StreamedModel model = streamed(lookup({"batch", "sequence"}), threads);
    for (Texts order = texts; order.size() == 4; order.push_back({})) {
      std::reverse(order.begin(), order.end());
      const auto stats = calibrate(model, order, values);
      ASSERT_TRUE(stats) << stats.error().message;
      EXPECT_EQ(stats->texts, 4U);
      EXPECT_EQ(stats->tokens, 9U);
      seen.insert(stats->channel_absmax.at("y"));
    }
  }
  EXPECT_EQ(seen, (std::set<std::vector<float>>{{14, 7}}));
}

TEST(Calibrate, SharesDoNotCareAboutOrderOrTheSizeOfATokensNumbers) {
  // Row 20 has the ratio 3 : 1 where all others have 2 : 1.
  const Texts texts = {{1, 20}, {7}, {3, 3, 3, 3}, {5, 0}};
  const std::vector<std::string> values = {"y"};
  std::set<std::vector<float>> seen, energies;
  for (const int threads : {1, 2, 5}) {
    const StreamedModel model = streamed(lookup({"batch", "sequence"}, {30000, 10000}), threads);
    for (Texts order = texts; order.size() == 4; order.push_back({})) {
      std::reverse(order.begin(), order.end());
      const auto stats = calibrate(model, order, values, Gathered::largest_and_share);
      ASSERT_TRUE(stats) << stats.error().message;
      EXPECT_EQ(stats->channel_absmax.at("y")[0], 60000);
      seen.insert(stats->channel_share.at("y"));
      EXPECT_TRUE(stats->channel_energy.empty());
      const auto energy = calibrate(model, order, values, Gathered::largest_and_energy);
      ASSERT_TRUE(energy) << energy.error().message;
      EXPECT_TRUE(energy->channel_share.empty());
      energies.insert(energy->channel_energy.at("y"));
    }
    const auto without = calibrate(model, texts, values);
    ASSERT_TRUE(without);
    EXPECT_TRUE(without->channel_share.empty());
  }
  ASSERT_EQ(seen.size(), 1U);
  // x^2 / mean square is 8/5 and 2/5, of row 20 9/5 and 1/5, of row 0 nothing; nine tokens.
  const double large = (7 * 1.6 * 1.6 + 1.8 * 1.8) / 9;
  const double small = (7 * 0.4 * 0.4 + 0.2 * 0.2) / 9;
  EXPECT_FLOAT_EQ((*seen.begin())[0], static_cast<float>(std::pow(large, 0.25)));
  EXPECT_FLOAT_EQ((*seen.begin())[1], static_cast<float>(std::pow(small, 0.25)));
  ASSERT_EQ(energies.size(), 1U);
  EXPECT_FLOAT_EQ((*energies.begin())[0], (7 * 1.6F + 1.8F) / 9);
  EXPECT_FLOAT_EQ((*energies.begin())[1], (7 * 0.4F + 0.2F) / 9);
}

TEST(Calibrate, NamesTheTextThatBreaks) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const StreamedModel model = streamed(lookup({"batch", "sequence"}, {bad, 1}));
    // The bad number comes first, so that a maximum over it could be forgotten.
    const Texts texts = {{1}, {20, 5}};
    const auto stats = calibrate(model, texts, std::vector<std::string>{"y"});
    ASSERT_FALSE(stats);
    EXPECT_EQ(stats.error().code, Code::invalid_input);
    EXPECT_NE(stats.error().message.find("calibration text 2"), std::string::npos);
    EXPECT_NE(stats.error().message.find("\"y\""), std::string::npos);
  }
}

TEST(Calibrate, ReportsProgressInOrder) {
  const StreamedModel model = streamed(lookup({"batch", "sequence"}));
  std::vector<uint64_t> steps;
  const Texts texts(9, {1, 2});
  ASSERT_TRUE(calibrate(model, texts, std::vector<std::string>{"y"}, Gathered::largest,
                        [&](std::string_view, uint64_t done, uint64_t total) {
                          steps.push_back(done);
                          EXPECT_EQ(total, 9U);
                        }));
  EXPECT_EQ(steps, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(CalibrationTexts, AreManyAndDifferent) {
  const auto texts = default_calibration_texts();
  EXPECT_GE(texts.size(), 200U);
  EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
  size_t longest = 0;
  for (const auto& text : texts) {
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(text.find("orem ipsum"), std::string::npos);
    longest = std::max(longest, text.size());
  }
  EXPECT_GE(longest, 800U);
}

}  // namespace
}  // namespace octavo
