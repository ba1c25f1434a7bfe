#include "toolkit/evaluation_json.h"

#include <cmath>

namespace octavo {

using nlohmann::json;

namespace {

// A rank that differs in one query of a thousand moves the fourth digit.
double digits(double value) { return std::round(value * 1e6) / 1e6; }

json change_json(const EvaluateReport::Change& change) {
  return {
      {"mean", digits(change.mean)}, {"low", digits(change.low)}, {"high", digits(change.high)}};
}

json group_json(const EvaluateReport::Group& group, bool compared) {
  const auto& n = group.numbers;
  json out = {{"by", group.by},
              {"name", group.name},
              {"queries", group.queries},
              {"documents", group.documents},
              {"ndcg10", digits(n.ndcg10)},
              {"recall1", digits(n.recall1)},
              {"recall10", digits(n.recall10)}};
  if (group.by != "kind") out["anisotropy"] = digits(group.anisotropy);
  if (!compared) return out;
  out["overlap10"] = digits(n.overlap10);
  out["rank_correlation"] = digits(n.rank_correlation);
  out["ndcg10_change"] = change_json(n.ndcg10_change);
  out["recall1_change"] = change_json(n.recall1_change);
  out["recall10_change"] = change_json(n.recall10_change);
  return out;
}

}  // namespace

json evaluation_json(const EvaluateReport& report) {
  json variants = json::array();
  for (const auto& variant : report.variants) {
    const bool compared = report.has_reference && !variants.empty();
    json groups = json::array();
    for (const auto& group : variant.groups) groups.push_back(group_json(group, compared));
    variants.push_back({{"model", variant.model},
                        {"how", variant.how},
                        {"bytes", variant.bytes},
                        {"groups", std::move(groups)}});
  }
  return {
      {"set",
       {{"name", report.set},
        {"sha256", report.set_sha256},
        {"documents", report.documents},
        {"queries", report.queries},
        {"tokens", report.tokens},
        {"truncated", report.truncated}}},
      {"bootstrap", {{"kind", "signs"}, {"resamples", report.resamples}, {"seed", report.seed}}},
      {"has_reference", report.has_reference},
      {"variants", std::move(variants)},
      {"notes", report.notes}};
}

}  // namespace octavo
