#pragma once
// What a choice is worth (alphas of the sites, which of them get 16 bits): the model made with it
// and run as it will really run, its pooled vectors against those of the FP32 model. Choices that
// were judged before, by a run that was stopped, are read from a log.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/fused_model.h"
#include "embed/model_dir.h"
#include "graph/graph.h"

namespace octavo {

// A search writes over its log where that is of other inputs: it has to be a log, or not there, in
// a folder that is. Empty: none. To be asked before long work. Errors: invalid_input, not_found.
Status check_search_log(const std::filesystem::path& log);

class Judgement {
 public:
  struct Subject {
    const Model& fp32;
    const std::vector<std::vector<int64_t>>& texts;  // token ids
    Pooling pooling = Pooling::mean;
    bool per_token = false;  // activation scales of a token's own, else of a whole text
    // The quantized model of a choice.
    std::function<Result<Model>(std::span<const double> choice)> make;
    // Where choices differ in the bits of products only: the weights (int8 initializers of the
    // model of the first choice, which has 8 bits everywhere) that a choice gives 16. Null: they
    // differ in the constants.
    std::function<std::set<std::string>(std::span<const double> choice)> wide = {};
    // With the reference vectors, which stand for the weights, all that a choice's worth depends
    // on: an answer of the log is believed when this is the same.
    std::string inputs;
  };

  // Runs the FP32 model over the texts. log: JSON Lines, made when it is not there; a log of other
  // inputs is begun anew; empty: none. Subject's references outlive this. Errors: those of running
  // the model, io.
  static Result<Judgement> create(Subject subject, const std::filesystem::path& log,
                                  std::shared_ptr<ThreadPool> pool);

  // 1 - cosine of every text. The first model that is made goes the whole way (probe, raise,
  // check), the next ones take its place in the engine. Errors: those of making and running the
  // model; unsupported when per_token is asked of a graph that the engine cannot run.
  Result<std::vector<double>> losses(std::span<const double> choice);
  // Of the texts 0, every, 2 * every, ... only.
  Result<std::vector<double>> losses_of_part(std::span<const double> choice, size_t every);

 private:
  Judgement(Subject subject, std::shared_ptr<ThreadPool> pool)
      : subject_(std::move(subject)), pool_(std::move(pool)) {}
  Status open_log(const std::filesystem::path& log);
  Result<std::vector<double>> measure(std::span<const double> choice, size_t every);
  Status remember(std::span<const double> choice, std::span<const double> losses);
  Result<std::string> key() const;

  Subject subject_;
  Result<FusedModel> fused(std::span<const double> choice);
  Result<std::vector<float>> encode(const FusedModel& fused,
                                    std::span<const std::vector<int64_t>> texts) const;

  std::shared_ptr<ThreadPool> pool_;
  std::optional<FusedVariants> variants_;
  bool compared_ = false;  // variants_ with a model that went the whole way
  bool exchange_ = true;   // what it makes is what that gives
  bool plain_ = false;     // the engine cannot take the graph
  std::vector<float> reference_;
  size_t width_ = 0;
  std::filesystem::path log_;
  // Of all texts, or of some: how many says which.
  std::map<std::vector<double>, std::vector<double>> known_, known_parts_;
};

}  // namespace octavo
