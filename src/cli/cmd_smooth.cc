// octavo smooth: FP32 ONNX in, the same function as FP32 ONNX out, easier to quantize.

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/alpha_flags.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "octavo/smooth.h"

namespace octavo::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDescription =
    R"(Move activation outliers into the weights (SmoothQuant) so that INT8 loses less.

Every input X of constant-weight MatMuls or Gemms is divided by one factor a
channel and the weights multiplied by it: (X / s)(s W) = X W. The factor is
s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), from running calibration texts;
with --factors per-token the channel's usual share of its token takes the place
of the first maximum, and the mean of it and the row's length that of the
second; with per-token-16 there is no alpha, and s is that with which the
rounding of the weights costs least. 1/s goes into the constants that make X (a
norm's gain, the columns of the MatMul above, ...) where that changes nothing
else, else into an explicit Mul. The result is the same
function: the FP32 outputs before and after are compared on texts of all
lengths, and nothing is written unless they agree to 1e-4.)";

constexpr const char* kFooter =
    R"(Output: for every input where 1/s went, the range of s, and how uneven the
channels are before and after (largest of the channel maxima / their median).

Examples:
  octavo smooth --fp32 model.onnx --output model.smoothed.fp32.onnx \
                --tokenizer . --alpha 0.8
  octavo smooth --fp32 model.onnx --output smoothed.onnx --tokenizer . \
                --calibration my-texts.jsonl --json
  octavo smooth --fp32 model.onnx --output smoothed.onnx --tokenizer . \
                --factors per-token-16

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr),
also when the outputs do not agree.)";

struct Arguments {
  AlphaFlags alpha;
  std::string activations = "per-tensor";
  std::string fp32;
  std::string output;
  std::string tokenizer;
  std::string calibration;
  SmoothOptions options;
  bool rotate = false;
  bool json = false;
};

Json alpha_of(const Arguments& args, const SmoothReport& r) {
  if (args.options.factors == Activations::per_token_16) return {};
  return r.search ? Json("auto") : Json(args.options.alpha);
}

Json to_json(const Arguments& args, const SmoothReport& r) {
  Json sites = Json::array();
  for (const SmoothSite& s : r.sites)
    sites.push_back({{"input", s.input},
                     {"weights", s.weights},
                     {"folded_into", s.folded_into},
                     {"refusal", s.refusal},
                     {"alpha", s.alpha ? Json(*s.alpha) : Json()},
                     {"scale_min", s.scale_min},
                     {"scale_max", s.scale_max},
                     {"outlier_before", s.outlier_before},
                     {"outlier_after", s.outlier_after}});
  Json search;
  if (r.search) {
    Json trials = Json::array();
    for (const auto& trial : r.search->trials)
      trials.push_back({{"what", trial.what}, {"loss", trial.loss}, {"kept", trial.kept}});
    search = {{"fixed", r.search->fixed},         {"loss_fixed", r.search->loss_fixed},
              {"loss", r.search->loss},           {"confirmed_fixed", r.search->confirmed_fixed},
              {"confirmed", r.search->confirmed}, {"refused", r.search->refused},
              {"texts", r.search->texts},         {"trials", std::move(trials)}};
  }
  return {{"fp32", args.fp32},
          {"output", args.output},
          {"alpha", alpha_of(args, r)},
          {"search", std::move(search)},
          {"rotated_width", r.rotated_width},
          {"calibration", {{"texts", r.calibration_texts}, {"tokens", r.calibration_tokens}}},
          {"difference", r.difference},
          {"warnings", r.calibration_warnings},
          {"sites", std::move(sites)},
          {"skipped", r.skipped}};
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

// "layer.3 feeds Add_7" -> "layer.# feeds Add_#": one reason for all layers.
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) out += c;
    if (digit && !out.ends_with('#')) out += '#';
  }
  return out;
}

void print(const AlphaSearchReport& r) {
  std::printf("alpha searched in %zu trials on %llu texts apart from those of its statistics:\n",
              r.trials.size(), static_cast<unsigned long long>(r.texts));
  for (const auto& trial : r.trials)
    if (trial.kept) std::printf("  %-40s 1 - cos %.6f\n", trial.what.c_str(), trial.loss);
  std::printf(
      "  on the other texts: %.6f, best single alpha (%.2f) %.6f%s\n", r.confirmed, r.fixed,
      r.confirmed_fixed,
      r.refused
          ? "; a gain there within two standard errors may be chance, so the single alpha is used"
          : "");
}

void print(const Arguments& args, const SmoothReport& r) {
  Table table({"input", "MatMuls", "1/s is in", "alpha", "s min", "s max", "max/median", "after"});
  std::map<std::string, std::pair<size_t, std::string>> refusals;
  size_t folded = 0;
  for (const SmoothSite& s : r.sites) {
    table.add({s.input, std::to_string(s.weights.size()), s.folded_into,
               s.alpha ? fixed(*s.alpha, 2) : "-", short_number(s.scale_min),
               short_number(s.scale_max), fixed(s.outlier_before, 1), fixed(s.outlier_after, 1)});
    if (s.refusal.empty()) {
      ++folded;
    } else {
      auto& [count, example] = refusals[without_numbers(s.refusal)];
      if (count++ == 0) example = s.refusal;
    }
  }
  std::printf("%s\n%zu inputs smoothed, %zu folded, %zu by an explicit Mul\n", table.str().c_str(),
              r.sites.size(), folded, r.sites.size() - folded);
  for (const auto& [kind, seen] : refusals)
    std::printf("  %zu not folded: %s%s\n", seen.first, seen.second.c_str(),
                seen.first > 1 ? ", ..." : "");
  if (!r.skipped.empty()) std::printf("%zu MatMuls left as they are:\n", r.skipped.size());
  // Attention alone has two a layer; the reasons matter, not every node.
  std::map<std::string, std::pair<size_t, std::string>> skipped;
  for (const std::string& line : r.skipped) {
    const size_t colon = line.rfind(": ");
    auto& [count, example] = skipped[line.substr(colon + 2)];
    if (count++ == 0) example = line.substr(0, colon);
  }
  for (const auto& [reason, seen] : skipped)
    std::printf("  %zu: %s (%s%s)\n", seen.first, reason.c_str(), seen.second.c_str(),
                seen.first > 1 ? ", ..." : "");
  if (r.rotated_width > 0)
    std::printf("the residual stream, %llu wide, is rotated\n",
                static_cast<unsigned long long>(r.rotated_width));
  if (r.search) print(*r.search);
  std::printf(
      "calibrated on %llu texts, %llu tokens; FP32 outputs differ by %s of their range\n"
      "wrote %s\n",
      static_cast<unsigned long long>(r.calibration_texts),
      static_cast<unsigned long long>(r.calibration_tokens), short_number(r.difference).c_str(),
      args.output.c_str());
}

}  // namespace

void add_smooth(CLI::App& app, Context& context) {
  const auto args = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("smooth", kDescription);
  command->footer(kFooter);
  command->add_option("--fp32", args->fp32, "FP32 ONNX model")->required()->type_name("FILE");
  command
      ->add_option("-o,--output", args->output,
                   "smoothed FP32 ONNX model; gets a sidecar FILE.data when the input has one")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--tokenizer", args->tokenizer,
                   "folder with tokenizer.json and the config files (default: the model's)")
      ->type_name("DIR");
  add_alpha_flags(*command, args->alpha);
  command
      ->add_option("--activations", args->activations,
                   "with --alpha auto: the scales that the quantized model will run with")
      ->type_name("HOW")
      ->check(CLI::IsMember({"per-tensor", "per-token"}))
      ->capture_default_str();
  command
      ->add_option(
          "--factors", args->options.factors,
          "what s is made of: the largest numbers (per-tensor); a channel's share of its token and "
          "the size of the weights' row (per-token; --alpha 0.5 suits it); or, without --alpha, "
          "what costs the rounding of the weights least, for 16-bit activations (per-token-16)")
      ->type_name("HOW")
      ->transform(choice(kActivationsNames))
      ->default_str("per-tensor");
  command
      ->add_option("--calibration", args->calibration,
                   "one text a line, or JSON Lines with a \"text\" field (default: 384 built-in "
                   "texts in many languages and code)")
      ->type_name("FILE");
  command->add_flag("--rotate", args->rotate,
                    "first rotate the residual stream (RMSNorm models): no channel of what the "
                    "MatMuls after a norm read is large then. One MatMul is added, at the end");
  command->add_flag("--json", args->json, "everything, for scripts, on stdout");
  command->callback([args, command, &context] {
    if (args->options.factors == Activations::per_token_16)
      for (const char* option : {"--alpha", "--search-log", "--evaluations", "--activations"})
        if (command->count(option) > 0)
          throw CLI::ValidationError("--factors",
                                     std::string("per-token-16 goes without ") + option);
    refuse_search_options(*command, args->alpha);
    if (command->count("--activations") > 0 && !args->alpha.automatic())
      throw CLI::ValidationError("--activations",
                                 "is for --alpha auto: nothing else runs the model");
    args->options.tokenizer = args->tokenizer;
    args->options.calibration = args->calibration;
    if (args->rotate) args->options.rotate = RotateResidual::yes;
    const auto kind = [](const std::string& name) {
      return name == "per-token" ? Activations::per_token : Activations::per_tensor;
    };
    if (args->alpha.automatic()) {
      args->alpha.search.activations = kind(args->activations);
      args->options.search = args->alpha.search;
    } else {
      args->options.alpha = args->alpha.number();
    }
    const auto report = smooth_model(args->fp32, args->output, args->options, context.progress());
    if (!report) return context.fail(report.error());
    warn(report->calibration_warnings);
    if (args->json) {
      // Names in a file need not be UTF-8; JSON must be.
      std::puts(
          to_json(*args, *report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      print(*args, *report);
    }
  });
}

}  // namespace octavo::cli
