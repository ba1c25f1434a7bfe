#include <algorithm>
#include <numeric>

#include "toolkit/plots.h"
#include "toolkit/report_sections.h"

namespace octavo {

using nlohmann::json;

namespace {

constexpr size_t kWorstTexts = 10;

std::string tile(const std::string& number, const std::string& label) {
  return "<div><b>" + number + "</b><span>" + label + "</span></div>\n";
}

std::string tiles(const ReportView& view) {
  std::string out = "<div class=\"tiles\">\n" +
                    tile(view.fixed("/quality/variants/smoothed/cos_mean", 5), "mean cosine") +
                    tile(view.fixed("/quality/variants/smoothed/cos_p5", 5), "5th percentile") +
                    tile(view.fixed("/quality/variants/smoothed/cos_min", 5), "worst text");
  const double fp32 = view.at("/sizes/fp32").get<double>();
  const double int8 = view.at("/sizes").value("smoothed", 0.0);
  if (fp32 > 0 && int8 > 0)
    out += tile(fixed_digits(100 * int8 / fp32, 1) + "%",
                view.scaled("/sizes/smoothed", 1e-6, 1) + " MB of " +
                    view.scaled("/sizes/fp32", 1e-6, 1) + " MB");
  const std::string search = "/retrieval/variants/1/groups/0";
  if (view.has(search + "/overlap10"))
    out += tile(view.scaled(search + "/overlap10", 100, 1) + "%", "same first 10 documents");
  return out + "</div>\n";
}

}  // namespace

std::string page_top(const ReportView& view) {
  const json& smoothed = view.variants.at("smoothed");
  const bool passed = view.quality.at("passed").get<bool>();
  std::string out =
      "<h1>" + html_escaped(view.at("/source/name").get<std::string>()) + "</h1>\n" +
      html_paragraph(view.text("/source/architecture") + ", " + view.whole("/source/parameters") +
                         " parameters; INT8 ONNX made by octavo " + view.text("/octavo") +
                         ", profile " + view.text("/settings/profile"),
                     "soft");
  std::string verdict =
      passed ? "Checked: the smallest cosine to the original is "
             : "FAILED: do not use model.int8.onnx. Its smallest cosine to the original is ";
  verdict +=
      view.fixed("/quality/variants/smoothed/cos_min", 5) + ", the gate is " +
      view.fixed("/quality/min_cos", decimals_of(view.quality.at("min_cos").get<double>(), 2)) +
      ".";
  if (view.variants.contains("vanilla") && view.variants.at("vanilla").at("cos_min").get<double>() >
                                               smoothed.at("cos_min").get<double>())
    verdict += " On these texts the variant without smoothing has a better worst text.";
  return out + "<p class=\"verdict" + (passed ? "" : " bad") + "\">" + verdict + "</p>\n" +
         tiles(view);
}

std::string page_quality(const ReportView& view) {
  std::vector<std::vector<std::string>> rows;
  std::vector<Series> series;
  for (const ReportVariant& variant : view.shown) {
    const std::string at = std::string("/quality/variants/") + variant.key;
    rows.push_back({html_code(variant.name), view.fixed(at + "/cos_min", 5),
                    view.fixed(at + "/cos_p1", 5), view.fixed(at + "/cos_p5", 5),
                    view.fixed(at + "/cos_p50", 5), view.fixed(at + "/cos_mean", 5)});
    Series line{variant.name, variant.colour, {}};
    for (const json& cosine : view.variants.at(variant.key).at("cosines"))
      line.values.push_back(1 - cosine.get<double>());
    series.push_back(std::move(line));
  }
  std::string out =
      html_heading("Quality") +
      html_table({"model", "cos_min", "p1", "p5", "p50", "cos_mean"}, "lrrrrr", rows) +
      html_paragraph(
          "Cosine of each text's vector with the reference's, on the same token ids, "
          "over " +
          std::to_string(view.quality.at("texts").size()) +
          " texts. Reference: " + view.text("/quality/reference") + ".");
  out += plot_legend(view.legend()) +
         html_figure(distribution_plot(series, "1 - cosine"),
                     "The share of texts whose vector is at most so far from the original's. "
                     "Further left is better; how far a curve reaches to the right is its worst "
                     "text.");
  for (size_t i = 0; i < view.quality.at("notes").size(); ++i)
    out += html_paragraph("Note: " + view.text("/quality/notes/" + std::to_string(i)), "soft");
  return out;
}

std::string page_worst_texts(const ReportView& view) {
  const json& cosines = view.variants.at("smoothed").at("cosines");
  std::vector<size_t> order(cosines.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return cosines.at(a).get<double>() < cosines.at(b).get<double>();
  });
  order.resize(std::min(order.size(), kWorstTexts));
  std::vector<std::string> header = {"", "text", "tokens"};
  for (const ReportVariant& variant : view.shown)
    header.emplace_back(variant.colour == 0 ? "FP32" : variant.colour == 2 ? "INT8" : "vanilla");
  std::vector<std::vector<std::string>> rows;
  for (const size_t i : order) {
    const std::string number = std::to_string(i);
    std::vector<std::string> row = {std::to_string(i + 1),
                                    view.text("/quality/texts/" + number + "/text", 220),
                                    view.whole("/quality/texts/" + number + "/tokens")};
    for (const ReportVariant& variant : view.shown)
      row.push_back(
          view.fixed(std::string("/quality/variants/") + variant.key + "/cosines/" + number, 5));
    rows.push_back(std::move(row));
  }
  return html_heading("Worst texts") + html_table(header, "rlrrrr", rows) +
         html_paragraph(
             "Cosine to the reference, the texts that are worst in model.int8.onnx "
             "first; the numbers are those of report.json, from 1.",
             "soft");
}

}  // namespace octavo
