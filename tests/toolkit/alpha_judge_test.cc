// --alpha auto on a real file: what the judge measured in memory is what written files give,
// and a log lets a stopped search go on.

#include <gtest/gtest.h>

#include <algorithm>

#include "octavo/import.h"
#include "octavo/quantize.h"
#include "octavo/smooth.h"
#include "octavo/verify.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class AlphaAuto : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    for (int i = 0; i < 24; ++i) {
      std::string text = "text";
      for (int j = 0; j <= i % 7; ++j) text += " w" + std::to_string((i * 31 + j * 7) % 97);
      texts_.push_back(text);
    }
    ASSERT_TRUE(import_model(golden("tiny") / "qwen3", folder_ / "fp32"));
  }

  Result<SmoothReport> search(Activations activations, const std::string& log) const {
    std::string lines;
    for (const std::string& text : texts_) lines += text + "\n";
    SmoothOptions options;
    options.tokenizer = folder_ / "fp32";
    options.calibration = put("texts.txt", lines);
    options.search = {activations, 20, log.empty() ? fs::path() : folder_ / log};
    return smooth_model(folder_ / "fp32" / "model.onnx", folder_ / "s.onnx", options);
  }

  std::vector<std::string> texts_;
};

void expect_same(const SmoothReport& a, const SmoothReport& b) {
  ASSERT_TRUE(a.search && b.search);
  ASSERT_EQ(a.search->trials.size(), b.search->trials.size());
  for (size_t i = 0; i < a.search->trials.size(); ++i) {
    EXPECT_EQ(a.search->trials[i].what, b.search->trials[i].what);
    EXPECT_EQ(a.search->trials[i].loss, b.search->trials[i].loss);
  }
  for (size_t i = 0; i < a.sites.size(); ++i) EXPECT_EQ(a.sites[i].alpha, b.sites[i].alpha);
}

// Of files made by hand with the best single alpha and the half of the texts that the search leaves
// to the statistics, on either half of the others.
TEST_F(AlphaAuto, TheLossIsThatOfFiles) {
  const auto found = search(Activations::per_tensor, "");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(found->search);
  EXPECT_EQ(found->search->texts, 12U);
  EXPECT_EQ(found->calibration_texts, 24U);
  SmoothOptions options;
  std::string lines;
  for (size_t i = 0; i < texts_.size(); i += 2) lines += texts_[i] + "\n";
  options.tokenizer = folder_ / "fp32";
  options.calibration = put("half.txt", lines);
  options.alpha = found->search->fixed;
  ASSERT_TRUE(smooth_model(folder_ / "fp32" / "model.onnx", folder_ / "s.onnx", options));
  QuantizeOptions per_channel;
  per_channel.per_channel = true;
  ASSERT_TRUE(quantize_model(folder_ / "s.onnx", folder_ / "q.onnx", per_channel));
  const double losses[] = {found->search->loss_fixed, found->search->confirmed_fixed};
  for (const size_t half : {0, 1}) {
    VerifyOptions verify;
    verify.against = folder_ / "fp32" / "model.onnx";
    verify.tokenizer = folder_ / "fp32";
    for (size_t i = 1 + 2 * half; i < texts_.size(); i += 4) verify.texts.push_back(texts_[i]);
    const auto measured = verify_model(folder_ / "q.onnx", verify);
    ASSERT_TRUE(measured) << measured.error().message;
    EXPECT_NEAR(1 - measured->cos_mean, losses[half], 1e-6);
    EXPECT_GT(losses[half], 1e-5) << "nothing is lost on this model: a weak test";
  }
}

TEST_F(AlphaAuto, ALogIsGoneOnFrom) {
  const auto whole = search(Activations::per_token, "log");
  ASSERT_TRUE(whole) << whole.error().message;
  const std::string log = read(folder_ / "log");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'),
            1 + static_cast<long>(whole->search->trials.size()));
  // Stopped in the middle of a line.
  put("log", log.substr(0, log.size() / 2));
  const auto resumed = search(Activations::per_token, "log");
  ASSERT_TRUE(resumed) << resumed.error().message;
  expect_same(*whole, *resumed);
  EXPECT_EQ(read(folder_ / "log"), log);
  // An answer that is in the log is believed, so it must be of the very same inputs.
  const auto other = search(Activations::per_tensor, "log");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(read(folder_ / "log").substr(0, 150), log.substr(0, 150));
  EXPECT_NE(other->search->trials[0].loss, whole->search->trials[0].loss);
}

TEST_F(AlphaAuto, NeedsTextsToJudgeBy) {
  texts_.resize(6);
  const auto report = search(Activations::per_tensor, "");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::invalid_input);
  EXPECT_NE(report.error().message.find("calibration"), std::string::npos)
      << report.error().message;
}

}  // namespace
}  // namespace octavo
