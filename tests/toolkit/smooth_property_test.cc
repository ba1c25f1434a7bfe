// Smoothing must not change what a model computes, whatever the model: random encoders, before and
// after. And it must do what it says: the value each group reads is X / s.

#include <gtest/gtest.h>

#include "embed/token_feeds.h"
#include "passes/smoothquant.h"
#include "tensor/compare.h"
#include "toolkit/calibrate.h"
#include "toolkit/random_encoder.h"

namespace octavo {
namespace {

using Ids = std::vector<int64_t>;

// Rounding of float32 through two layers whose channels differ by 40; a wrong factor shows as 1e-2
// and more.
constexpr double kTolerance = 1e-4;

std::vector<Tensor> run(const Session& session, const Ids& ids, int64_t rows,
                        std::vector<std::string> outputs = {}) {
  const auto inputs = read_signature_inputs(session.graph());
  EXPECT_TRUE(inputs);
  const auto feeds = token_feeds(*inputs, ids, rows);
  EXPECT_TRUE(feeds);
  auto out = session.run(*feeds, {.outputs = std::move(outputs), .watch = {}, .tap = {}});
  EXPECT_TRUE(out) << out.error().message;
  return out ? *std::move(out) : std::vector<Tensor>{};
}

struct Totals {
  size_t groups = 0, folded = 0, copied = 0;
};

void check_model(uint32_t seed, Totals& totals) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Model model = RandomEncoder(seed).make();
  ASSERT_TRUE(check(model)) << check(model).error().message;
  const auto before = Session::create(model, {.pool = nullptr, .threads = 1});
  ASSERT_TRUE(before) << before.error().message;
  const std::vector<Ids> texts = {{1, 2, 3}, {7, 4, 29, 0, 11, 12, 5}, {20}};
  // Every other model in parts, as large ones are.
  const auto streamed = StreamedModel::create(
      model,
      {.pool = std::make_shared<ThreadPool>(1), .weight_bytes = seed % 2 == 0 ? 1U : 1U << 30U});
  ASSERT_TRUE(streamed) << streamed.error().message;
  EXPECT_EQ(streamed->parts() > 1, seed % 2 == 0);
  auto shapes = observe_shapes(*streamed, texts[1]);
  ASSERT_TRUE(shapes) << shapes.error().message;
  const auto groups = find_smooth_groups(model.graph, *shapes);
  ASSERT_TRUE(groups);
  std::vector<std::string> values;
  for (const auto& group : groups->groups) values.push_back(group.input);
  auto stats = calibrate(*streamed, texts, values);
  ASSERT_TRUE(stats) << stats.error().message;
  stats->shapes = *std::move(shapes);
  const size_t initializers = model.graph.initializers.size();
  const auto sites = smoothquant(model, *groups, *stats, 0.6);
  ASSERT_TRUE(sites) << sites.error().message;
  totals.copied += model.graph.initializers.size() - initializers;

  const auto after = Session::create(model, {.pool = nullptr, .threads = 1});
  ASSERT_TRUE(after) << after.error().message;
  // Sizes that neither the probe nor the calibration had.
  const Ids ids = {9, 8, 30 - 1, 1, 1, 2, 17, 3, 22, 6};
  for (const int64_t rows : {1, 2, 5}) {
    const auto x = run(*before, ids, rows);
    const auto y = run(*after, ids, rows);
    ASSERT_EQ(x.size(), y.size());
    for (size_t o = 0; o < x.size(); ++o) {
      ASSERT_EQ(x[o].shape(), y[o].shape());
      EXPECT_LT(relative_difference(y[o].values<float>(), x[o].values<float>()), kTolerance);
    }
  }
  for (const SmoothedGroup& site : *sites) {
    ++totals.groups;
    totals.folded += site.refusal.empty() ? 1 : 0;
    const auto x = run(*before, ids, 2, {site.input});
    const auto y = run(*after, ids, 2, {site.value});
    std::vector<float> undone(y[0].values<float>().begin(), y[0].values<float>().end());
    for (size_t i = 0; i < undone.size(); ++i) undone[i] *= site.scale[i % site.scale.size()];
    EXPECT_LT(relative_difference(undone, x[0].values<float>()), kTolerance)
        << site.input << ", " << site.folded_into;
  }
}

TEST(SmoothProperty, RandomModelsComputeTheSame) {
  Totals totals;
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    check_model(seed, totals);
    if (HasFatalFailure()) return;
  }
  // Neither all nor nothing: both ways must have been tested.
  EXPECT_GT(totals.folded, totals.groups / 3);
  EXPECT_LT(totals.folded, totals.groups * 9 / 10);
  EXPECT_GT(totals.copied, 100U);
  RecordProperty("groups", static_cast<int>(totals.groups));
  RecordProperty("folded", static_cast<int>(totals.folded));
}

}  // namespace
}  // namespace octavo
