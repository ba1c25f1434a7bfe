#include <algorithm>

#include "toolkit/plots.h"
#include "toolkit/report_sections.h"

namespace octavo {

using nlohmann::json;

namespace {

// "layer 3" of a name with a number in it, else "".
std::string layer_of(const std::string& name) {
  const size_t from = name.find_first_of("0123456789");
  if (from == std::string::npos) return "";
  const size_t to = name.find_first_not_of("0123456789", from);
  return "layer " + name.substr(from, std::min(to, name.size()) - from);
}

HeatRow heat_row(const json& site, const char* channels, const char* outlier) {
  const double ratio = site.at(outlier).get<double>();
  HeatRow row{site.at("input").get<std::string>() + ", " + fixed_digits(ratio, 1), "", {}};
  double most = 0;
  for (const json& value : site.at(channels)) most = std::max(most, value.get<double>());
  const double median = most / std::max(ratio, 1e-9);
  for (const json& value : site.at(channels))
    row.ratios.push_back(median > 0 ? value.get<double>() / median : 0);
  return row;
}

// Drawn where a search gave the sites alphas of their own.
std::string alphas(const json& sites) {
  std::vector<Stem> stems;
  bool equal = true;
  for (const json& site : sites) {
    if (site.at("alpha").is_null()) return "";
    stems.push_back({site.at("input").get<std::string>(), 2, site.at("alpha").get<double>()});
    equal = equal && stems.back().value == stems.front().value;
  }
  if (equal) return "";
  return html_figure(
      stem_plot(stems, {.x_label = "site, in the order they run", .y_label = "alpha"}),
      "How much of the outliers of each site went into the weights.");
}

}  // namespace

std::string page_outliers(const ReportView& view) {
  std::vector<HeatRow> before;
  std::vector<HeatRow> after;
  std::string layer;
  for (const json& site : view.at("/smoothing/sites")) {
    const std::string mine = layer_of(site.at("input").get<std::string>());
    before.push_back(heat_row(site, "channels_before", "outlier_before"));
    after.push_back(heat_row(site, "channels_after", "outlier_after"));
    if (mine != layer) before.back().label = mine;
    layer = mine;
  }
  return html_heading("Outliers") +
         html_figure(heat_plot(before, after),
                     "A row is the input of one group of MatMuls, in the order they run; from left "
                     "to right its channels, in at most 64 runs of which the largest counts. "
                     "Colour: the largest |x| over the calibration texts, in medians of the row.");
}

std::string page_sites(const ReportView& view) {
  const json& sites = view.at("/smoothing/sites");
  std::vector<std::vector<std::string>> rows;
  Series smoothed{"model.int8.onnx", 2, {}};
  Series vanilla{"model.int8.vanilla.onnx", 1, {}};
  for (size_t i = 0; i < sites.size(); ++i) {
    const json& site = sites.at(i);
    const std::string at = "/smoothing/sites/" + std::to_string(i);
    std::vector<std::string> row = {std::to_string(i + 1),
                                    html_name(site.at("input").get<std::string>()),
                                    view.text(at + "/folded_into", 44),
                                    site.at("alpha").is_null() ? "" : view.fixed(at + "/alpha", 2),
                                    view.fixed(at + "/outlier_before", 1),
                                    view.fixed(at + "/outlier_after", 1),
                                    view.whole(at + "/bits")};
    const auto error = [&](const char* key, Series& series) {
      const bool there = site.contains(key);
      row.push_back(there ? view.scientific(at + "/" + key) : "");
      if (there) series.values.push_back(site.at(key).get<double>());
    };
    error("error", smoothed);
    error("error_vanilla", vanilla);
    rows.push_back(std::move(row));
  }
  std::string out = html_heading("Sites");
  std::vector<Series> series;
  std::vector<std::pair<std::string, int>> legend;
  for (const Series* s : {&smoothed, &vanilla})
    if (s->values.size() == rows.size() && !rows.empty()) {
      series.push_back(*s);
      legend.emplace_back(s->name, s->colour);
    }
  if (!series.empty())
    out += plot_legend(legend) +
           html_figure(site_plot(series, "relative error"),
                       "Relative error of each group's products, all earlier sites quantized as "
                       "well, on up to four of the probe texts.");
  out += alphas(sites);
  out += html_table(
      {"", "input", "1/s went into", "alpha", "outlier", "after", "bits", "error", "vanilla"},
      "rllrrrrrr", rows);
  if (view.has("/rotation") && view.at("/rotation/width").get<uint64_t>() > 0)
    out +=
        html_paragraph("The residual stream, " + view.whole("/rotation/width") +
                       " wide, is rotated by an orthogonal matrix first; outliers and errors are "
                       "of what came of that.");
  if (view.at("/settings/alpha").is_null())
    out += html_paragraph(
        "There is no alpha: activations have 16 bits, and the factors are those with which the "
        "rounding of the weights costs least.");
  return out + html_paragraph(
                   "Outlier: the largest channel maximum over the median one, before and "
                   "after smoothing. Bits: of the activations in model.int8.onnx. "
                   "Calibration: " +
                       view.whole("/settings/calibration/texts") + " texts, " +
                       view.whole("/settings/calibration/tokens") + " tokens (" +
                       view.text("/settings/calibration/name") + ").",
                   "soft");
}

std::string page_alpha_search(const ReportView& view) {
  if (!view.has("/alpha_search")) return "";
  const std::string at = "/alpha_search";
  std::vector<Stem> stems;
  size_t kept = 0;  // the best of one alpha for all, and each step that helped
  for (const json& trial : view.at(at + "/trials")) {
    kept += trial.at("kept").get<bool>() ? 1 : 0;
    stems.push_back({trial.at("what").get<std::string>(), trial.at("kept").get<bool>() ? 2 : 0,
                     trial.at("loss").get<double>()});
  }
  const bool refused = view.at(at + "/refused").get<bool>();
  return html_heading("How alpha was chosen") +
         html_paragraph(
             std::string("By search, judged by the vectors of the quantized model on ") +
             view.whole(at + "/texts") +
             " calibration texts, with the statistics of the others; what was found is folded with "
             "those of all. " +
             (kept < 2  ? "No site gained from an alpha of its own: all have the same."
              : refused ? "The search was <b>refused</b>: on the texts that it did not "
                          "see either, its gain over one alpha for all sites was "
                          "within two standard errors and may be chance; that one is used."
                        : "The texts that the search did not see either confirmed it: "
                          "each site has its own alpha.")) +
         html_table(
             {"mean 1 - cosine", "on the texts of the search", "on texts it did not see"}, "lrr",
             {{"one alpha, " + view.fixed(at + "/fixed", 2), view.fixed(at + "/loss_fixed", 6),
               view.fixed(at + "/confirmed_fixed", 6)},
              {"an alpha a site", view.fixed(at + "/loss", 6), view.fixed(at + "/confirmed", 6)}}) +
         plot_legend({{"kept", 2}, {"not kept", 0}}) +
         html_figure(stem_plot(stems, {.x_label = "model tried", .y_label = "mean 1 - cosine"}),
                     "Every quantized model that was tried, in order.");
}

}  // namespace octavo
