#include "octavo/smooth.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "embed/model_dir.h"
#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "graph/inline.h"
#include "passes/quantize_dynamic.h"
#include "passes/rotate_residual.h"
#include "passes/smoothquant.h"
#include "runtime/streamed.h"
#include "tensor/compare.h"
#include "toolkit/alpha_search.h"
#include "toolkit/calibrate.h"
#include "toolkit/judgement.h"
#include "toolkit/model_marks.h"
#include "toolkit/output_difference.h"
#include "toolkit/text_file.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// Texts on which the outputs are compared: that many, evenly from the shortest to the longest.
constexpr size_t kCheckedTexts = 8;

using Ids = std::vector<int64_t>;

std::vector<Ids> spread(const std::vector<Ids>& texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return texts[a].size() < texts[b].size(); });
  const size_t count = std::min(kCheckedTexts, texts.size());
  std::vector<Ids> chosen;
  for (size_t i = 0; i < count; ++i)
    chosen.push_back(texts[order[count == 1 ? 0 : i * (texts.size() - 1) / (count - 1)]]);
  return chosen;
}

class Smoothing {
 public:
  Smoothing(Model model, const SmoothOptions& options, const Progress& progress)
      : model_(std::move(model)), options_(options), progress_(progress) {}

  // Precondition: read_texts().
  Result<SmoothReport> run() {
    OCTAVO_CHECK(learn());
    before_ = model_;
    std::vector<double> alphas(groups_.groups.size(), options_.alpha);
    if (options_.search) {
      OCTAVO_TRY(alphas, search());
      stats_ = std::move(stats_of_all_);
    }
    OCTAVO_TRY(sites_, smoothquant(model_, groups_, stats_, alphas, pool_));
    OCTAVO_CHECK(compare());
    return make_report();
  }

  Model& model() { return model_; }

  Status read_texts() {
    std::vector<std::string> own;
    if (!options_.calibration.empty()) {
      OCTAVO_TRY(own, read_text_file(options_.calibration));
    }
    const std::span<const std::string> texts =
        own.empty() ? default_calibration_texts() : std::span<const std::string>(own);
    OCTAVO_TRY(const ModelDir folder, read_model_dir(options_.tokenizer));
    OCTAVO_TRY(const Tokenizer tokenizer, Tokenizer::open(folder.tokenizer_file));
    pooling_ = folder.pooling;
    size_t length = options_.max_length;
    if (folder.positions != 0) length = std::min(length, folder.positions);
    OCTAVO_TRY(texts_, tokenize_all(tokenizer, texts, length));
    checked_ = spread(texts_);
    if (options_.search) hold_out();
    return Done{};
  }

 private:
  // Every second text, so that both kinds have all languages and lengths; the search then takes
  // turns with its own confirmation.
  void hold_out() {
    std::vector<Ids> seen;
    for (size_t i = 0; i < texts_.size(); ++i)
      (i % 2 == 0 ? seen : held_out_).push_back(std::move(texts_[i]));
    texts_ = std::move(seen);
  }

  Gathered gathered() const {
    switch (options_.factors) {
      case Activations::per_token:
        return Gathered::largest_and_share;
      case Activations::per_token_16:
        return Gathered::largest_and_energy;
      case Activations::per_tensor:
        break;
    }
    return Gathered::largest;
  }

  Result<Model> quantized(std::span<const double> alphas) const {
    Model model = model_;
    OCTAVO_CHECK(smoothquant(model, groups_, stats_, alphas));
    QuantizeDynamicOptions how;
    how.form.per_channel = true;
    how.pool = pool_;
    OCTAVO_TRY(QuantizedModel done, quantize_dynamic(std::move(model), how));
    return std::move(done.model);
  }

  Result<std::vector<double>> search() {
    const AlphaSearch& wanted = *options_.search;
    Judgement::Subject subject{.fp32 = model_,
                               .texts = held_out_,
                               .pooling = pooling_,
                               .per_token = wanted.activations != Activations::per_tensor,
                               .make = {},
                               .inputs = {}};
    subject.make = [&](std::span<const double> alphas) { return quantized(alphas); };
    for (const SmoothGroup& group : groups_.groups) {
      const std::vector<float>& maxima = stats_.channel_absmax[group.input];
      subject.inputs += group.input;
      subject.inputs.append(reinterpret_cast<const char*>(maxima.data()),
                            maxima.size() * sizeof(float));
      if (gathered() != Gathered::largest_and_share) continue;
      const std::vector<float>& shares = stats_.channel_share[group.input];
      subject.inputs.append(reinterpret_cast<const char*>(shares.data()),
                            shares.size() * sizeof(float));
    }
    OCTAVO_TRY(auto judgement, Judgement::create(std::move(subject), wanted.log, pool_));
    std::vector<std::string> roles;
    for (const SmoothGroup& group : groups_.groups)
      roles.push_back(role_of(model_.graph.nodes[group.weights.front().node].name));
    const AlphaJudge judge = [&](std::span<const double> alphas) {
      return judgement.losses(alphas);
    };
    OCTAVO_TRY(AlphaChoice choice, search_alphas(roles, judge, {wanted.evaluations}, progress_));
    AlphaSearchReport& report = searched_.emplace();
    report.fixed = choice.fixed;
    report.loss_fixed = choice.loss_fixed;
    report.loss = choice.loss;
    report.confirmed_fixed = choice.confirmed_fixed;
    report.confirmed = choice.confirmed;
    report.refused = choice.refused;
    report.texts = held_out_.size();
    for (AlphaTrial& trial : choice.trials)
      report.trials.push_back({std::move(trial.what), trial.loss, trial.kept});
    return std::move(choice.alphas);
  }

  // Everything that needs the original model to run; its packed weights are gone afterwards.
  Status learn() {
    OCTAVO_TRY(auto model, StreamedModel::create(model_, {.pool = pool_}));
    OCTAVO_TRY(inputs_, read_signature_inputs(model.graph()));
    OCTAVO_TRY(ValueShapes shapes, observe_shapes(model, checked_.back()));
    OCTAVO_TRY(expected_, outputs_of(model, "expect"));
    if (options_.rotate != RotateResidual::no) {
      OCTAVO_TRY(const bool rotated, rotate(shapes));
      if (rotated) {
        OCTAVO_TRY(model, StreamedModel::create(model_, {.pool = pool_}));
      }
    }
    OCTAVO_TRY(groups_, find_smooth_groups(model_.graph, shapes));
    if (groups_.groups.empty()) return nothing_to_smooth();
    std::vector<std::string> values;
    for (const SmoothGroup& group : groups_.groups) values.push_back(group.input);
    OCTAVO_TRY(stats_, calibrate(model, texts_, values, gathered(), progress_));
    stats_.shapes = std::move(shapes);
    if (!options_.search) return Done{};
    // From the beginning, so that the sums are those of a given alpha to the bit: a pass more is
    // little beside 80 models that are tried.
    std::vector<Ids> all = texts_;
    all.insert(all.end(), held_out_.begin(), held_out_.end());
    OCTAVO_TRY(stats_of_all_, calibrate(model, all, values, gathered(), progress_));
    stats_of_all_.shapes = stats_.shapes;
    return Done{};
  }

  // False: it cannot be, and need not.
  Result<bool> rotate(const ValueShapes& shapes) {
    const auto done = rotate_residual(model_, shapes);
    if (done) {
      rotated_width_ = *done;
      return true;
    }
    if (options_.rotate == RotateResidual::yes || done.error().code != Code::unsupported)
      return done.error();
    not_rotated_ = done.error().message;
    return false;
  }

  Error nothing_to_smooth() const {
    std::string message = "there is no MatMul or Gemm with a constant float32 weight to smooth";
    for (const std::string& reason : groups_.skipped) message += "\n  " + reason;
    return {Code::invalid_input, message};
  }

  // Of the checked texts.
  Result<std::vector<std::vector<Tensor>>> outputs_of(const StreamedModel& model,
                                                      std::string_view stage) const {
    std::vector<std::vector<Feed>> feeds;
    for (const Ids& ids : checked_) {
      OCTAVO_TRY(feeds.emplace_back(), token_feeds(inputs_, ids, 1));
    }
    std::vector<std::vector<Tensor>> outputs(checked_.size());
    StreamedRun run;
    run.texts = feeds;
    run.take = [&](size_t text, std::vector<Tensor> made) -> Status {
      outputs[text] = std::move(made);
      return Done{};
    };
    run.progress = [&](size_t done, size_t total) { report(progress_, stage, done, total); };
    OCTAVO_CHECK(model.run(std::move(run)));
    return outputs;
  }

  // Values of one checked text.
  Result<std::map<std::string, Tensor>> values_of(const StreamedModel& model, size_t text,
                                                  std::vector<std::string> names) const {
    OCTAVO_TRY(const auto feeds, token_feeds(inputs_, checked_[text], 1));
    std::map<std::string, Tensor> values;
    StreamedRun run;
    run.texts = {&feeds, 1};
    run.watch = std::move(names);
    run.tap = [&](size_t, const std::string& value, const Tensor& tensor) -> Status {
      OCTAVO_TRY(values[value], tensor.clone());
      return Done{};
    };
    OCTAVO_CHECK(model.run(std::move(run)));
    return values;
  }

  Status compare() {
    OCTAVO_TRY(const auto model, StreamedModel::create(model_, {.pool = pool_}));
    OCTAVO_TRY(const auto outputs, outputs_of(model, "check"));
    bool compared = false;
    for (size_t i = 0; i < checked_.size(); ++i) {
      bool agree = true;
      for (size_t o = 0; o < outputs[i].size(); ++o) {
        const auto apart = output_difference(outputs[i][o], expected_[i][o]);
        if (!apart) continue;
        compared = true;
        difference_ = std::max(difference_, apart->relative);
        agree = agree && apart->relative <= options_.tolerance + apart->rounding;
      }
      if (!agree) return describe_difference(model, i);
    }
    if (!compared)
      return Error{Code::unsupported,
                   "no output is of a floating-point type, so the model before and after cannot be "
                   "compared; nothing was written. Keep the embeddings among the outputs"};
    return Done{};
  }

  // Where the two models part: X against (X / s) s, group after group.
  Error describe_difference(const StreamedModel& smoothed, size_t text) const {
    std::string message = "the smoothed model's output differs by " + std::to_string(difference_) +
                          " of its range (the limit is " + std::to_string(options_.tolerance) +
                          "); nothing was written";
    std::vector<std::string> before, after;
    for (const SmoothedGroup& site : sites_) {
      before.push_back(site.input);
      after.push_back(site.value);
    }
    const auto original = StreamedModel::create(before_, {.pool = pool_});
    if (!original) return {Code::internal, message};
    const auto expected = values_of(*original, text, before);
    const auto actual = values_of(smoothed, text, after);
    if (!expected || !actual) return {Code::internal, message};
    for (const SmoothedGroup& site : sites_) {
      const auto x = expected->find(site.input);
      const auto y = actual->find(site.value);
      if (x == expected->end() || y == actual->end()) continue;
      const auto values = y->second.values<float>();
      std::vector<float> undone(values.begin(), values.end());
      for (size_t i = 0; i < undone.size(); ++i) undone[i] *= site.scale[i % site.scale.size()];
      const double apart = relative_difference(undone, x->second.values<float>());
      if (apart <= options_.tolerance) continue;
      return {Code::internal, message + ". The first group that differs reads \"" + site.input +
                                  "\" (by " + std::to_string(apart) + "), folded into " +
                                  site.folded_into};
    }
    return {Code::internal, message +
                                ". The input of every group agrees; the difference comes "
                                "after the last, \"" +
                                sites_.back().input + "\""};
  }

  SmoothReport make_report() const {
    SmoothReport report;
    for (const SmoothedGroup& site : sites_) {
      const auto [low, high] = std::minmax_element(site.scale.begin(), site.scale.end());
      report.sites.push_back({site.input, site.weights, site.folded_into, site.refusal, site.alpha,
                              *low, *high, site.outlier_before, site.outlier_after});
      SmoothSite& out = report.sites.back();
      out.nodes = site.nodes;
      if (const auto found = stats_.channel_absmax.find(site.input);
          found != stats_.channel_absmax.end()) {
        out.channels_before = found->second;
        for (size_t i = 0; i < found->second.size(); ++i)
          out.channels_after.push_back(found->second[i] / site.scale[i]);
      }
    }
    report.search = searched_;
    report.rotated_width = rotated_width_;
    report.not_rotated = not_rotated_;
    report.skipped = groups_.skipped;
    report.difference = difference_;
    report.calibration_texts = stats_.texts;
    report.calibration_tokens = stats_.tokens;
    warn_of_few_texts(stats_.texts, report.calibration_warnings);
    return report;
  }

  Model model_;
  Model before_;
  const SmoothOptions& options_;
  const Progress& progress_;
  std::shared_ptr<ThreadPool> pool_ = std::make_shared<ThreadPool>();
  Pooling pooling_ = Pooling::mean;
  std::vector<Ids> texts_;
  std::vector<Ids> held_out_;  // of a search
  std::vector<Ids> checked_;
  std::optional<AlphaSearchReport> searched_;
  std::vector<Signature::Input> inputs_;
  SmoothGroups groups_;
  CalibrationStats stats_;
  CalibrationStats stats_of_all_;  // of a search: the found alphas are folded with these
  std::vector<std::vector<Tensor>> expected_;
  std::vector<SmoothedGroup> sites_;
  double difference_ = 0;
  size_t rotated_width_ = 0;
  std::string not_rotated_;
};

// Whoever finds the file can tell it from the original, `octavo import` for one, which writes over
// its own files only.
void mark_smoothed(Model& model, Activations factors) {
  std::erase_if(model.metadata, [](const auto& entry) { return entry.first == kSmoothedKey; });
  model.metadata.emplace_back(kSmoothedKey, name_of(factors));
}

}  // namespace

Result<SmoothReport> smooth_model(const fs::path& fp32_model, const fs::path& output,
                                  const SmoothOptions& given, const Progress& progress) {
  if (!(given.alpha >= 0 && given.alpha <= 1))
    return Error{Code::invalid_input,
                 "alpha is " + std::to_string(given.alpha) + ", not within 0..1"};
  if (given.factors == Activations::per_token_16 && given.search)
    return Error{Code::invalid_input,
                 "factors for 16-bit activations have no alpha that could be searched"};
  if (given.search) OCTAVO_CHECK(check_search_log(given.search->log));
  SmoothOptions options = given;
  if (options.tokenizer.empty())
    options.tokenizer = fp32_model.has_parent_path() ? fp32_model.parent_path() : ".";
  OCTAVO_TRY(OnnxFile file, open_onnx(fp32_model));
  const OnnxWriteOptions writing = {.external_data = !file.sidecars.empty(),
                                    .location = {},
                                    .sources = source_files(fp32_model, file)};
  OCTAVO_CHECK(check_onnx_output(output, writing));
  OCTAVO_CHECK(inline_functions(file.model).within(fp32_model.string()));
  Smoothing smoothing(std::move(file.model), options, progress);
  OCTAVO_CHECK(smoothing.read_texts());
  OCTAVO_TRY(SmoothReport report, smoothing.run().within(fp32_model.string()));
  mark_smoothed(smoothing.model(), options.factors);
  OCTAVO_CHECK(write_onnx(smoothing.model(), output, writing, progress));
  return report;
}

}  // namespace octavo
