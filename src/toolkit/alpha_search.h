#pragma once
// Search of SmoothQuant's alpha, a site at a time where that pays, judged by what comes out of the
// whole quantized model on texts that its statistics never saw. A search by each site's own output
// error was measured first: on SmolLM2 it lost to one fixed alpha (docs/quantization.md), because
// what a site's error does depends on the layers after it.
//
// 1. one alpha for all: 0.3, 0.4 .. 0.9, then 0.05 to both sides of the best
// 2. parts of the sites, coarse to fine: all of one role (every down projection), then halves of
//    it along the depth, quarters, ...; each part walks in steps of 0.1 as long as that helps
// 3. the other half of the held-out texts, which steps 1 and 2 never looked at, decides between
//    the result and the best single alpha: the search cannot publish its own luck
//
// A step helps when the mean of the paired differences is below zero by more than its standard
// error; without that, most of what 80 trials find on 96 texts is noise. What is found is used when
// it helps by two in 3. With any gain for enough, SmolLM2 got alphas that were 22% better on the
// texts of the search, 3% on those of 3 (0.7 standard errors) and 8% worse on 285 others (2.4).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"

namespace octavo {

// 1 - cosine of every held-out text, with these alphas, one a site.
using AlphaJudge = std::function<Result<std::vector<double>>(std::span<const double> alphas)>;

struct AlphaSearchOptions {
  size_t evaluations = 80;  // calls of the judge, at most; at least the 7 of the grid
};

struct AlphaTrial {
  std::string what;  // "all 0.5", "layers.#.mlp.down_proj 12..17 0.6"
  double loss = 0;   // mean over the texts of steps 1 and 2
  bool kept = false;
};

struct AlphaChoice {
  std::vector<double> alphas;                 // one a site
  double fixed = 0;                           // the best single alpha
  double loss_fixed = 0, loss = 0;            // mean 1 - cosine on the texts of the search
  double confirmed_fixed = 0, confirmed = 0;  // on those of step 3, before its decision
  bool refused = false;                       // step 3 went for the single alpha
  std::vector<AlphaTrial> trials;
};

// roles: a name for every site, equal for the same place of different layers. Deterministic: the
// same losses give the same choice. Errors: those of the judge; invalid_input without sites, or
// when the judge returns fewer than 4 texts or another number than before.
Result<AlphaChoice> search_alphas(std::span<const std::string> roles, const AlphaJudge& judge,
                                  const AlphaSearchOptions& options, const Progress& progress = {});

// "layers.12.mlp" -> "layers.#.mlp".
std::string role_of(const std::string& node);

}  // namespace octavo
