#include "toolkit/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "toolkit/model_card.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

VerifyReport verified(double low, double high) {
  VerifyReport report;
  report.texts = {{"plain", {101, 7, 102}, {"[CLS]", "plain", "[SEP]"}, high, 4.25, 4.5},
                  {"a | pipe\nand *stars*", {101, 102}, {"[CLS]", "[SEP]"}, low, 2, 2}};
  report.cos_min = report.cos_p1 = report.cos_p5 = low;
  report.cos_p50 = report.cos_mean = (low + high) / 2;
  report.worst = 1;
  report.reference = "original.safetensors (transformers 4)";
  return report;
}

ReportInput input() {
  ReportInput in;
  in.source = "tiny_model";
  in.options.command_line = "octavo build tiny_model -o out";
  in.use.pooling = Pooling::mean;
  in.use.max_length = 256;
  in.build.smoothed = verified(0.9712345678, 0.999);
  in.build.vanilla = verified(0.8, 0.9);
  in.build.import.architecture = "BertModel";
  in.build.import.parameters = 22565376;
  in.build.smoothing.sites = {
      {"norm", {"q", "k"}, "gain norm.weight", "", 0.8, 0.5, 2, 100, 10},
      {"gelu", {"down"}, "explicit Mul", "Erf is not linear", 0.8, 0.25, 4, 30, 3},
  };
  in.build.smoothing.calibration_texts = 200;
  in.build.smoothing.calibration_tokens = 12345;
  in.build.files = {{"model.int8.onnx", 1234567, std::string(64, 'a')},
                    {"tokenizer.json", 42, std::string(64, 'b')}};
  return in;
}

std::string card_of(const ReportInput& in) {
  json report = make_report(in);
  extend_history(report, json(), changes_since(json(), report), "2026-11-24", "");
  return model_card(report);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ModelCard, ShowsWhatWasMeasured) {
  const std::string card = card_of(input());
  for (const char* part : {
           "| `model.int8.onnx` (SmoothQuant) | 0.97123 | 0.97123 | 0.97123 | 0.98512 | 0.98512 |",
           "| `model.int8.vanilla.onnx` | 0.80000 | 0.80000 | 0.80000 | 0.85000 | 0.85000 |",
           "**Checked:** the smallest cosine is 0.97123, the gate is 0.90.",
           "original.safetensors (transformers 4)",
           "Worst text of the smoothed model: number 2.",
           "| `model.int8.onnx` | 1,234,567 | `aaaaaaaa",
           "octavo build tiny_model -o out\n",
           "2 sites (1 folded into neighbouring weights, 1 as an explicit multiplication)",
           "22,565,376 parameters",
           "| 2 | a \\| pipe and \\*stars\\* | 2 | 0.97123 | 0.80000 |",
           "- 2026-11-24, octavo ",
           ": (first build)",
           "vector = hidden.mean(axis=0)",
           "# tiny\\_model: INT8 ONNX",
       })
    EXPECT_TRUE(contains(card, part)) << part << "\nis not in\n" << card;
  EXPECT_EQ(card, card_of(input()));
}

TEST(ModelCard, TablesHaveAsManyCellsAsTheirHeader) {
  std::istringstream lines(card_of(input()));
  size_t width = 0;
  size_t rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('|')) {
      width = 0;
      continue;
    }
    size_t bars = 0;
    for (size_t i = 0; i < line.size(); ++i)
      bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (width == 0) width = bars;
    EXPECT_EQ(bars, width) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 12U);
}

TEST(ModelCard, SaysWhenTheGateFailedOrVanillaIsBetter) {
  ReportInput in = input();
  in.build.passed = false;
  in.build.smoothed.cos_min = 0.75;
  const std::string card = card_of(in);
  EXPECT_TRUE(
      contains(card, "**FAILED: do not use `model.int8.onnx`.** Its smallest cosine is 0.75000"));
  EXPECT_FALSE(contains(card, "**Checked"));
  EXPECT_TRUE(contains(card, "`model.int8.vanilla.onnx` is closer to the original"));
  EXPECT_FALSE(contains(card_of(input()), "is closer to the original"));
}

TEST(ModelCard, LeavesOutWhatWasNotMade) {
  ReportInput in = input();
  in.build.vanilla.reset();
  EXPECT_FALSE(contains(card_of(in), "| `model.int8.vanilla.onnx`"));
  EXPECT_FALSE(contains(card_of(in), "FP32 ONNX before quantization"));
  in.build.imported = verified(0.99999, 1);
  EXPECT_TRUE(contains(card_of(in), "| FP32 ONNX before quantization | 0.99999 |"));
}

TEST(Report, RoundsWhatDiffersBetweenMachines) {
  const json report = make_report(input());
  EXPECT_EQ(report["quality"]["variants"]["smoothed"]["cos_min"].dump(), "0.971235");
  ReportInput in = input();
  in.build.smoothed.cos_min += 1e-9;
  in.build.smoothed.texts[0].norm *= 1 + 1e-9;
  EXPECT_EQ(make_report(in), report);
}

TEST(Report, NamesEveryChange) {
  const json before = make_report(input());
  EXPECT_EQ(changes_since(json(), before), (std::vector<std::string>{"first build"}));
  EXPECT_TRUE(changes_since(before, before).empty());
  const struct {
    const char* change;
    void (*make)(ReportInput&);
  } cases[] = {
      {"alpha 0.8 -> 0.5", [](ReportInput& i) { i.options.alpha = 0.5; }},
      {"profile compat -> accurate",
       [](ReportInput& i) {
         i.options.profile = Profile::accurate;
         i.options.alpha = 0.8;
       }},
      {"calibration built-in -> mine.txt",
       [](ReportInput& i) { i.options.calibration = "texts/mine.txt"; }},
      {"calibration texts", [](ReportInput& i) { i.calibration_sha256 = "e"; }},
      {"gate 0.9 -> 0.95", [](ReportInput& i) { i.options.min_cos = 0.95; }},
      {"probe texts", [](ReportInput& i) { i.build.smoothed.texts[0].text = "other"; }},
      {"changed tokenizer.json", [](ReportInput& i) { i.build.files[1].sha256 = "c"; }},
      {"removed tokenizer.json", [](ReportInput& i) { i.build.files.pop_back(); }},
      {"new vocab.txt",
       [](ReportInput& i) {
         i.build.files.push_back({"vocab.txt", 1, "d"});
       }},
      {"cos_min 0.971235 -> 0.95", [](ReportInput& i) { i.build.smoothed.cos_min = 0.95; }},
  };
  for (const auto& c : cases) {
    ReportInput in = input();
    c.make(in);
    EXPECT_EQ(changes_since(before, make_report(in)), std::vector<std::string>{c.change});
  }
}

TEST(Report, NamesAnAlphaThatIsNoLongerThere) {
  ReportInput in = input();
  in.options.profile = Profile::closest;
  EXPECT_EQ(changes_since(make_report(input()), make_report(in)),
            (std::vector<std::string>{"profile compat -> closest", "alpha 0.8 -> none"}));
}

// Another tokenizer cuts the same texts otherwise: the texts did not change.
TEST(Report, TokenCountsAreNoChange) {
  ReportInput in = input();
  in.build.smoothing.calibration_tokens = 7;
  in.build.smoothed.texts[0].ids.push_back(102);
  const auto changes = changes_since(make_report(input()), make_report(in));
  EXPECT_TRUE(changes.empty()) << changes.front();
}

TEST(Report, SaysWhatTheProfileIs) {
  ReportInput in = input();
  in.build.changes = {"first build"};
  json report = make_report(in);
  extend_history(report, json(), {"first build"}, "2026-11-24", "");
  EXPECT_EQ(report["settings"]["profile"], "compat");
  EXPECT_EQ(report["settings"]["activations"], "per-tensor");
  EXPECT_EQ(report["settings"]["table"], "float32");
  EXPECT_EQ(report["settings"]["alpha"], 0.8);
  EXPECT_TRUE(contains(model_card(report), "Profile: compat."));
  in.options.profile = Profile::accurate;
  report = make_report(in);
  EXPECT_EQ(report["settings"]["activations"], "per-token");
  EXPECT_EQ(report["settings"]["table"], "int8");
  EXPECT_EQ(report["settings"]["alpha"], 0.5);
  const std::string card = model_card(report);
  EXPECT_TRUE(contains(card, "a scale for every token"));
  EXPECT_TRUE(contains(card, "--activations per-token --table int8"));
  EXPECT_TRUE(contains(card, "Profile: accurate."));
  EXPECT_FALSE(contains(card, "--rotate"));
  EXPECT_EQ(report["rotation"]["width"], 0);
  in.build.smoothing.rotated_width = 576;
  report = make_report(in);
  EXPECT_EQ(report["settings"]["alpha"], 0.5);
  EXPECT_TRUE(contains(model_card(report), "--alpha 0.5 --factors per-token --rotate"));
}

TEST(Report, HistoryGrowsOnlyWithChanges) {
  json first = make_report(input());
  extend_history(first, json(), changes_since(json(), first), "2026-11-24", "");
  ASSERT_EQ(first["history"].size(), 1U);

  json again = make_report(input());
  extend_history(again, first, changes_since(first, again), "2027-01-01", "no reason");
  EXPECT_EQ(again, first);

  ReportInput in = input();
  in.options.alpha = 0.65;
  json third = make_report(in);
  extend_history(third, again, changes_since(again, third), "2027-01-01", "BERT likes it *lower*");
  ASSERT_EQ(third["history"].size(), 2U);
  EXPECT_EQ(third["history"][1]["changes"], json({"alpha 0.8 -> 0.65"}));
  EXPECT_TRUE(contains(model_card(third), ": BERT likes it \\*lower\\*. (alpha 0.8 -\\> 0.65)"));
}

class LastReport : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("last_report." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  fs::path folder_;
};

TEST_F(LastReport, ReadsItsOwnAndRefusesOthers) {
  EXPECT_TRUE(read_last_report(folder_)->is_null());
  EXPECT_TRUE(read_last_report(folder_ / "not there")->is_null());
  put("report.json", make_report(input()).dump());
  put("README.md", card_of(input()));
  const auto own = read_last_report(folder_);
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(*own, make_report(input()));

  const struct {
    const char *name, *text;
  } cases[] = {{"README.md", "# My notes\n"},
               {"report.json", "{\"a\": 1}"},
               {"report.json", "[]"},
               {"report.json", "no json"},
               {"report.json", R"({"format": "octavo-report-1", "history": 3})"},
               {"report.json", R"({"format": "octavo-report-1", "history": [{"date": 3}]})"}};
  for (const auto& c : cases) {
    put("report.json", make_report(input()).dump());
    put("README.md", card_of(input()));
    put(c.name, c.text);
    const auto foreign = read_last_report(folder_);
    ASSERT_FALSE(foreign) << c.name << c.text;
    EXPECT_EQ(foreign.error().code, Code::invalid_input);
    EXPECT_TRUE(contains(foreign.error().message, c.name)) << foreign.error().message;
  }
}

}  // namespace
}  // namespace octavo
