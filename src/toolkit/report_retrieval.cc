#include "toolkit/plots.h"
#include "toolkit/report_sections.h"

namespace octavo {

using nlohmann::json;

namespace {

int colour_of(const std::string& model) {
  for (const ReportVariant& variant : kReportVariants)
    if (model == variant.name) return variant.colour;
  return 0;
}

// A table of three rows a language has no room for file names; the legend above has them.
std::string short_name(const std::string& model) {
  const int colour = colour_of(model);
  return colour == 2 ? "INT8" : colour == 1 ? "vanilla" : "FP32";
}

// A change with its sign, as the data element that tests look for has it.
std::string change(const ReportView& view, const std::string& pointer) {
  const bool up = view.at(pointer).get<double>() >= 0;
  return (up ? "+" : "") + view.fixed(pointer, 4);
}

std::vector<std::string> row_of(const ReportView& view, const std::string& at,
                                const std::string& model) {
  std::vector<std::string> row = {"",
                                  short_name(model),
                                  view.fixed(at + "/ndcg10", 4),
                                  "",
                                  "",
                                  view.fixed(at + "/recall1", 4),
                                  view.fixed(at + "/recall10", 4),
                                  "",
                                  "",
                                  ""};
  if (view.has(at + "/anisotropy")) row[9] = view.fixed(at + "/anisotropy", 4);
  if (!view.has(at + "/ndcg10_change")) return row;
  row[3] = change(view, at + "/ndcg10_change/mean");
  row[4] =
      change(view, at + "/ndcg10_change/low") + " to " + change(view, at + "/ndcg10_change/high");
  row[7] = view.scaled(at + "/overlap10", 100, 1) + "%";
  row[8] = view.fixed(at + "/rank_correlation", 4);
  return row;
}

}  // namespace

std::string page_retrieval(const ReportView& view) {
  if (!view.has("/retrieval")) return "";
  const json& variants = view.at("/retrieval/variants");
  std::vector<std::vector<std::string>> rows;
  std::vector<Interval> intervals;
  const size_t groups = variants.at(0).at("groups").size();
  for (size_t g = 0; g < groups; ++g) {
    const json& group = variants.at(0).at("groups").at(g);
    Interval interval{group.at("by") == "all" ? "all" : group.at("name").get<std::string>(), {}};
    for (size_t v = 0; v < variants.size(); ++v) {
      const std::string at =
          "/retrieval/variants/" + std::to_string(v) + "/groups/" + std::to_string(g);
      const auto model = variants.at(v).at("model").get<std::string>();
      rows.push_back(row_of(view, at, model));
      if (v == 0) rows.back()[0] = html_escaped(interval.name);
      if (!view.has(at + "/ndcg10_change")) continue;
      const json& apart = view.at(at + "/ndcg10_change");
      interval.parts.push_back({colour_of(model), apart.at("mean").get<double>(),
                                apart.at("low").get<double>(), apart.at("high").get<double>()});
    }
    intervals.push_back(std::move(interval));
  }
  std::vector<std::pair<std::string, int>> legend;
  for (const Interval::Part& part : intervals.front().parts)
    for (const ReportVariant& variant : kReportVariants)
      if (variant.colour == part.colour) legend.emplace_back(variant.name, variant.colour);
  std::string out = html_heading("Retrieval") +
                    html_paragraph("Set " + view.text("/retrieval/set/name") + ": " +
                                   view.whole("/retrieval/set/documents") + " documents, " +
                                   view.whole("/retrieval/set/queries") +
                                   " queries, ranked by cosine. The reference is the FP32 model.");
  if (!intervals.front().parts.empty())
    out +=
        plot_legend(legend) +
        html_figure(interval_plot(intervals, "change of nDCG@10 against FP32"),
                    "By language of the query, with 95% intervals of a bootstrap of what queries "
                    "gain or lose, with random signs. An interval that holds 0 is a change that "
                    "the set cannot tell from none.");
  return out + html_table({"queries", "model", "nDCG@10", "change", "95% interval", "R@1", "R@10",
                           "same top 10", "rho", "anisotropy"},
                          "llrrrrrrrr", rows);
}

}  // namespace octavo
