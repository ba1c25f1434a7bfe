#pragma once
// What a choice of alphas is worth: the model smoothed with them, quantized and run as it will
// really run, its vectors against those of the FP32 model. Choices that were judged before, by a
// run that was stopped, are read from a log.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/model_dir.h"
#include "passes/smoothquant.h"

namespace octavo {

// What calibration learned, and the texts to judge by, as token ids. Every member outlives the
// judge.
struct JudgedModel {
  const Model& fp32;
  const SmoothGroups& groups;
  const CalibrationStats& stats;
  const std::vector<std::vector<int64_t>>& texts;
  Pooling pooling = Pooling::mean;
  bool per_token = false;  // activation scales of a token's own, else of a whole text
};

class AlphaJudgement {
 public:
  // Runs the FP32 model over the texts. log: JSON Lines, made when it is not there; a log of other
  // inputs is begun anew; empty: none. Errors: those of running the model, io.
  static Result<AlphaJudgement> create(JudgedModel model, const std::filesystem::path& log,
                                       std::shared_ptr<ThreadPool> pool);

  // 1 - cosine of every text.
  Result<std::vector<double>> losses(std::span<const double> alphas);
  size_t reused() const { return reused_; }  // answers that came from the log

 private:
  AlphaJudgement(JudgedModel model, std::shared_ptr<ThreadPool> pool)
      : model_(model), pool_(std::move(pool)) {}
  Status open_log(const std::filesystem::path& log);
  Status remember(std::span<const double> alphas, std::span<const double> losses);
  Result<std::string> key() const;

  JudgedModel model_;
  std::shared_ptr<ThreadPool> pool_;
  std::vector<float> reference_;
  size_t width_ = 0;
  std::filesystem::path log_;
  std::map<std::vector<double>, std::vector<double>> known_;
  size_t reused_ = 0;
};

}  // namespace octavo
