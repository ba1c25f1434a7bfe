#pragma once
// SmoothQuant (Xiao et al. 2023): Y = (X / s)(s W), so that activation outliers move into the
// weights before they are quantized. The function of the model does not change.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/quantize.h"
#include "octavo/result.h"

namespace octavo {

// How alpha is searched, a site at a time, on a half of the calibration texts, with statistics of
// the other half; what is found is folded with those of all. The loss is 1 - cosine between the
// vectors of the FP32 and of the quantized model.
struct AlphaSearch {
  Activations activations = Activations::per_tensor;  // how the quantized model will run
  size_t evaluations = 80;                            // quantized models that are tried, at most
  std::filesystem::path log;  // what was tried, to go on from after a stop; empty: none
};

// Whether the residual stream is rotated first (passes/rotate_residual.h): what the linears read
// has no large channels then. if_possible: else SmoothReport::not_rotated says why not; yes: else
// an error.
enum class RotateResidual : uint8_t { no, if_possible, yes };

struct SmoothOptions {
  double alpha = 0.8;  // s_j = x_j^alpha / w_j^(1 - alpha); 0..1
  // What x and w are. per_tensor: the largest number that calibration saw in channel j, and the
  // largest of row j of the weights. per_token: how large the channel is beside the others of its
  // token, and the geometric mean of the row's length and largest number: better where a token has
  // a scale of its own. per_token_16: no such formula and no alpha; the s with which the rounding
  // of the weights costs least, for 16-bit activations everywhere (docs/quantization.md).
  Activations factors = Activations::per_tensor;
  std::optional<AlphaSearch> search;  // alpha is then what is found
  RotateResidual rotate = RotateResidual::no;
  std::filesystem::path tokenizer;  // folder with tokenizer.json (and config files)
  std::filesystem::path
      calibration;          // one text a line, or JSONL with "text"; empty: the built-in set
  size_t max_length = 512;  // tokens of a calibration text
  // Largest allowed difference of the outputs before and after, relative to their range (float16
  // and bfloat16 outputs: and one unit in the last place); above it nothing is written.
  double tolerance = 1e-4;
};

struct SmoothSite {
  std::string input;                 // the value that the group shares
  std::vector<std::string> weights;  // the group's weight initializers
  std::string folded_into;      // what took 1/s: "gain model.norm.weight", ..., or "explicit Mul"
  std::string refusal;          // why it is explicit; empty when it is not
  std::optional<double> alpha;  // none where the weights alone decide
  double scale_min = 1, scale_max = 1;
  double outlier_before = 0, outlier_after = 0;  // max|X| / median of the channel maxima
  std::vector<std::string> nodes = {};           // the group's MatMuls and Gemms
  std::vector<float> channels_before = {}, channels_after = {};  // max|X| of each channel
};

// Losses are means over texts: `loss` over those that the search looked at, `confirmed` over as
// many that it did not and that decided whether the searched alphas or the best single one is used.
// They are of models that were folded with the statistics of the other texts; the one that is
// written is folded with those of all.
struct AlphaSearchReport {
  struct Trial {
    std::string what;  // "all 0.50", "layers.#.mlp.down_proj 12..17 0.60"
    double loss = 0;
    bool kept = false;
  };
  double fixed = 0;  // the best single alpha
  double loss_fixed = 0, loss = 0;
  double confirmed_fixed = 0, confirmed = 0;
  bool refused = false;  // the best single alpha is used
  uint64_t texts = 0;    // held out, both kinds
  std::vector<Trial> trials;
};

struct SmoothReport {
  std::optional<AlphaSearchReport> search;
  uint64_t rotated_width = 0;  // of the residual stream; 0: not rotated
  std::string not_rotated;     // why not, where that was asked for
  std::vector<SmoothSite> sites;
  std::vector<std::string> skipped;  // "node: reason"
  double difference = 0;             // measured, relative to the range of the output
  uint64_t calibration_texts = 0, calibration_tokens = 0;
  std::vector<std::string> calibration_warnings;  // few texts
};

// Writes `output` (with a sidecar when fp32_model has one) only after its FP32 outputs were
// compared with those of fp32_model on texts from the shortest to the longest of the calibration.
// Errors: internal naming the first group that differs when they do not agree; invalid_input when
// there is nothing to smooth; unsupported naming what the executor lacks, or when no output is of a
// floating-point type; see octavo/result.h.
Result<SmoothReport> smooth_model(const std::filesystem::path& fp32_model,
                                  const std::filesystem::path& output, const SmoothOptions& options,
                                  const Progress& progress = {});

}  // namespace octavo
