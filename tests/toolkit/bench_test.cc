// What a report says about a small model; how fast it is does not matter here.

#include "toolkit/bench.h"

#include <nlohmann/json.hpp>

#include "embed/tiny_encoder.h"
#include "formats/onnx.h"
#include "kernels/select.h"
#include "temp_folder.h"

namespace octavo {
namespace {

class BenchTest : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    put("config.json", R"({"architectures": ["BertModel"], "max_position_embeddings": 16})");
    put("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    ASSERT_TRUE(write_onnx(test::tiny_encoder(), folder_ / "model.onnx"));
  }
};

TEST_F(BenchTest, MeasuresEachLengthThatTheModelHasPositionsFor) {
  BenchOptions options;
  options.threads = 2;
  options.lengths = {4, 16, 17};
  options.seconds = 0.001;
  std::vector<uint64_t> stages;
  const auto report = bench_model(
      folder_, options, [&](std::string_view, uint64_t done, uint64_t) { stages.push_back(done); });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->too_long, std::vector<size_t>{17});
  ASSERT_EQ(report->lines.size(), 4U);
  EXPECT_EQ(stages, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
  const auto& lines = report->lines;
  EXPECT_EQ(lines[0].name, "1 x 4");
  EXPECT_EQ(lines[2].name, "32 x 16");
  EXPECT_EQ(lines[2].tokens, 512U);
  EXPECT_EQ(lines[3].name, "64 x 8..16");
  EXPECT_EQ(lines[3].texts, 64U);
  // 64 lengths spread evenly over 8..16, rounded down: 8 to 15 eight times each but for the ends.
  size_t mixed = 0;
  for (size_t i = 0; i < 64; ++i) mixed += 8 + i * 8 / 63;
  EXPECT_EQ(lines[3].tokens, mixed);
  for (const auto& line : lines) {
    EXPECT_GE(line.runs, 1U);
    EXPECT_GT(line.p50, 0);
    EXPECT_LE(line.p50, line.p95);
  }
  EXPECT_EQ(report->machine.threads, 2);
  EXPECT_EQ(report->machine.isa, kernels::best()->name);
}

TEST_F(BenchTest, AProfileOfAGraphThatRunsNodeByNodeSaysWhy) {
  BenchOptions options;
  options.lengths = {};
  options.batches = false;
  options.profile = 8;
  options.exact_onnx = true;
  const auto report = bench_model(folder_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::unsupported);
  EXPECT_NE(report.error().message.find("node by node"), std::string::npos);
}

TEST_F(BenchTest, AFolderWithoutAModelIsNamed) {
  std::filesystem::remove(folder_ / "model.onnx");
  const auto report = bench_model(folder_, {});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find(folder_.string()), std::string::npos);
}

TEST(ChromeTrace, IsAnEventAStepInMicroseconds) {
  BenchReport report;
  report.layers = 1;
  report.steps = {{1, "embed", 0, 0.5, 0}, {0, "up", 0.5, 0.25, 77}};
  const auto trace = nlohmann::json::parse(chrome_trace(report));
  const auto& events = trace.at("traceEvents");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].at("cat"), "outside the layers");
  EXPECT_EQ(events[1].at("cat"), "layer 0");
  EXPECT_EQ(events[1].at("name"), "up");
  EXPECT_EQ(events[1].at("ph"), "X");
  EXPECT_DOUBLE_EQ(events[1].at("ts"), 500'000);
  EXPECT_DOUBLE_EQ(events[1].at("dur"), 250'000);
  EXPECT_EQ(events[1].at("args").at("macs"), 77);
}

}  // namespace
}  // namespace octavo
