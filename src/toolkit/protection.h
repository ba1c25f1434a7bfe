#pragma once
// Which sites get 16-bit activations: the cheapest set that reaches a cosine, or the best that a
// budget of products buys, by measuring the whole model.
//
// A site's worth is what the loss rises when it alone loses its 16 bits, all others having them.
// The other way round, protecting one site of a model in 8 bits, measures little but chance: the
// worst texts are chaotic in what is left (docs/quantization.md). Sites are then taken in the order
// of worth a product.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"

namespace octavo {

struct ProtectionSite {
  std::string name;
  double products = 0;  // of its MatMuls, for one token
};

struct ProtectionGoal {
  double target_cos = 1;    // every text at least so
  double max_extra = 1;     // products that protection may add, as a share of all
  size_t evaluations = 64;  // sites that are measured, neighbours joined where there are more
};

// 1 - cosine of every text, the sites with a 1 having 16 bits; `part`: of every kPart-th text only,
// the first among them. Sites are told apart by a part: what remains is decided on all.
using ProtectionJudge =
    std::function<Result<std::vector<double>>(std::span<const double> wide, bool part)>;
inline constexpr size_t kPart = 3;

struct ProtectionChoice {
  std::vector<bool> wide;     // a site
  std::vector<double> worth;  // a site: what the mean loss rises without it; 0 where not measured
  double extra = 0;           // share of products added
  std::vector<double> narrow, chosen, all;  // losses: 8 bits everywhere, this choice, 16 everywhere
  bool reached = false;                     // every loss of `chosen` at most 1 - target_cos
};

// Errors: those of the judge; invalid_input without sites or texts.
Result<ProtectionChoice> choose_protection(std::span<const ProtectionSite> sites,
                                           const ProtectionJudge& judge, const ProtectionGoal& goal,
                                           const Progress& progress = {});

}  // namespace octavo
