#pragma once
// How close a model's embeddings are to the original's: cosine per text, on identical token ids.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

struct VerifyOptions {
  std::filesystem::path tokenizer;  // folder; empty: the model's own folder
  std::filesystem::path against;    // reference ONNX model or a folder with one, or
  std::filesystem::path reference;  // reference file of tools/dump_reference.py (safetensors)
  std::vector<std::string>
      texts;  // empty: the 6 built-in probe texts (or those of the reference file)
  std::optional<double> min_cos;  // gate
  int threads = 0;
};

struct VerifyReport {
  struct Text {
    std::string text;
    std::vector<int64_t> ids;
    std::vector<std::string> tokens;                  // as the vocabulary writes them
    double cosine = 0, norm = 0, reference_norm = 0;  // norms before normalisation
  };
  std::vector<Text> texts;  // in the order given
  // Percentiles as numpy's default ("linear"): the sorted cosines, the point q/100 * (n - 1),
  // linear between its neighbours. With few texts p1 and p5 therefore lie close to the minimum.
  double cos_min = 0, cos_p1 = 0, cos_p5 = 0, cos_p50 = 0, cos_mean = 0;
  size_t worst = 0;                // index into texts
  bool passed = true;              // cos_min >= min_cos, or no gate
  std::string reference;           // what it was compared with
  std::vector<std::string> notes;  // texts that were cut, what had to be guessed about the model
};

const std::vector<std::string>& default_probe_texts();

// The texts of a built-in probe: "small", the default (6, English and German), or "wide" (285 in 31
// languages and code, from one word to a paragraph). Errors: not_found naming the probes there are.
Result<std::vector<std::string>> probe_texts(const std::string& name);

Result<VerifyReport> verify_model(const std::filesystem::path& model, const VerifyOptions& options,
                                  const Progress& progress = {});

}  // namespace octavo
