#include "toolkit/report_page.h"

#include <algorithm>
#include <numeric>

#include "toolkit/html.h"
#include "toolkit/model_card.h"
#include "toolkit/plots.h"
#include "toolkit/report_style.h"

namespace octavo {

using nlohmann::json;

namespace {

constexpr size_t kWorstTexts = 10;

// In the order in which they are shown; colours are those of the style sheet.
struct Variant {
  const char* key;
  const char* name;
  int colour;
};
constexpr Variant kVariants[] = {{"imported", "FP32 before quantization", 0},
                                 {"smoothed", "model.int8.onnx", 2},
                                 {"vanilla", "model.int8.vanilla.onnx", 1}};

std::string code(const std::string& text) { return "<code>" + html_escaped(text) + "</code>"; }

std::string paragraph(const std::string& html, const char* classes = "") {
  return std::string("<p") + (*classes == '\0' ? "" : std::string(" class=\"") + classes + "\"") +
         ">" + html + "</p>\n";
}

std::string figure(const std::string& svg, const std::string& caption) {
  return "<figure>" + svg + "<figcaption>" + caption + "</figcaption></figure>\n";
}

// A name that may break before each slash.
std::string breaking(const std::string& name) {
  std::string out;
  for (const char c : html_escaped(name)) {
    if (c == '/') out += "<wbr>";
    out += c;
  }
  return out;
}

std::string heading(const char* text) { return std::string("<h2>") + text + "</h2>\n"; }

// "layer 3" of a name with a number in it, else "".
std::string layer_of(const std::string& name) {
  const size_t from = name.find_first_of("0123456789");
  if (from == std::string::npos) return "";
  const size_t to = name.find_first_not_of("0123456789", from);
  return "layer " + name.substr(from, std::min(to, name.size()) - from);
}

class Page {
 public:
  explicit Page(const json& report)
      : report_(report), quality_(report.at("quality")), variants_(quality_.at("variants")) {
    for (const Variant& variant : kVariants)
      if (variants_.contains(variant.key)) shown_.push_back(variant);
  }

  std::string str() const {
    const std::string name = html_escaped(report_.at("source").at("name").get<std::string>());
    return "<!doctype html>\n<html lang=\"en\">\n" + std::string(kRenderingMarker) +
           "\n<head><meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'\">\n<title>" +
           name + ": INT8 report</title>\n<style>" + kReportStyle + "</style></head>\n<body>\n" +
           top(name) + quality() + sizes() + outliers() + sites() + search() + worst() + speed() +
           kept() + making() + history() + "</body></html>\n";
  }

 private:
  std::string fixed(const std::string& pointer, int decimals) const {
    return html_fixed(report_, pointer, decimals);
  }

  bool has(const std::string& pointer) const {
    return report_.contains(json::json_pointer(pointer));
  }

  std::string top(const std::string& name) const {
    const double gate = quality_.at("min_cos").get<double>();
    const bool passed = quality_.at("passed").get<bool>();
    const json& smoothed = variants_.at("smoothed");
    std::string out = "<h1>" + name + "</h1>\n";
    out += paragraph(html_text(report_, "/source/architecture") + ", " +
                         html_whole(report_, "/source/parameters") +
                         " parameters; INT8 ONNX made by octavo " + html_text(report_, "/octavo"),
                     "soft");
    std::string verdict =
        passed ? "Checked: the smallest cosine to the original is "
               : "FAILED: do not use model.int8.onnx. Its smallest cosine to the original is ";
    verdict += fixed("/quality/variants/smoothed/cos_min", 5) + ", the gate is " +
               fixed_digits(gate, 2) + ".";
    if (variants_.contains("vanilla") &&
        variants_.at("vanilla").at("cos_min").get<double>() > smoothed.at("cos_min").get<double>())
      verdict += " On these texts the variant without smoothing has a better worst text.";
    out += "<p class=\"verdict" + std::string(passed ? "" : " bad") + "\">" + verdict + "</p>\n";
    const double fp32 = report_.at("sizes").at("fp32").get<double>();
    const double int8 = report_.at("sizes").value("smoothed", 0.0);
    const auto tile = [](const std::string& number, const std::string& label) {
      return "<div><b>" + number + "</b><span>" + label + "</span></div>\n";
    };
    out += "<div class=\"tiles\">\n" +
           tile(fixed("/quality/variants/smoothed/cos_mean", 5), "mean cosine") +
           tile(fixed("/quality/variants/smoothed/cos_p5", 5), "5th percentile") +
           tile(fixed("/quality/variants/smoothed/cos_min", 5), "worst text");
    if (fp32 > 0)
      out += tile(fixed_digits(100 * int8 / fp32, 1) + "%",
                  fixed_digits(int8 / 1e6, 1) + " MB of " + fixed_digits(fp32 / 1e6, 1) + " MB");
    return out + "</div>\n";
  }

  std::vector<std::pair<std::string, int>> legend() const {
    std::vector<std::pair<std::string, int>> out;
    for (const Variant& variant : shown_) out.emplace_back(variant.name, variant.colour);
    return out;
  }

  std::string quality() const {
    std::vector<std::vector<std::string>> rows;
    std::vector<Series> series;
    for (const Variant& variant : shown_) {
      const std::string at = std::string("/quality/variants/") + variant.key;
      rows.push_back({code(variant.name), fixed(at + "/cos_min", 5), fixed(at + "/cos_p1", 5),
                      fixed(at + "/cos_p5", 5), fixed(at + "/cos_p50", 5),
                      fixed(at + "/cos_mean", 5)});
      Series line{variant.name, variant.colour, {}};
      for (const json& cosine : variants_.at(variant.key).at("cosines"))
        line.values.push_back(1 - cosine.get<double>());
      series.push_back(std::move(line));
    }
    std::string out =
        heading("Quality") +
        html_table({"model", "cos_min", "p1", "p5", "p50", "cos_mean"}, "lrrrrr", rows) +
        paragraph(
            "Cosine of each text's vector with the reference's, on the same "
            "token ids, over " +
            std::to_string(quality_.at("texts").size()) +
            " texts. Reference: " + html_text(report_, "/quality/reference") + ".");
    out += plot_legend(legend()) +
           figure(distribution_plot(series, "1 - cosine"),
                  "The share of texts whose vector is at most so far from the original's. Further "
                  "left is better; how far a curve reaches to the right is its worst text.");
    for (size_t i = 0; i < quality_.at("notes").size(); ++i)
      out +=
          paragraph("Note: " + html_text(report_, "/quality/notes/" + std::to_string(i)), "soft");
    return out;
  }

  std::string sizes() const {
    std::vector<SizedPoint> points;
    std::vector<std::vector<std::string>> rows;
    for (const Variant& variant : kVariants) {
      const char* key = variant.colour == 0 ? "fp32" : variant.key;
      const json& bytes = report_.at("sizes");
      if (!bytes.contains(key)) continue;
      SizedPoint point{variant.name, variant.colour, bytes.at(key).get<double>() / 1e6, 0, 0};
      std::vector<std::string> row = {code(variant.name),
                                      html_whole(report_, std::string("/sizes/") + key), "", ""};
      if (variants_.contains(variant.key)) {
        const json& v = variants_.at(variant.key);
        point.mean = 1 - v.at("cos_mean").get<double>();
        point.worst = 1 - v.at("cos_min").get<double>();
        const std::string at = std::string("/quality/variants/") + variant.key;
        row[2] = fixed(at + "/cos_mean", 5);
        row[3] = fixed(at + "/cos_min", 5);
      } else {
        row[2] = row[3] = "the reference";
      }
      points.push_back(std::move(point));
      rows.push_back(std::move(row));
    }
    return heading("Quality against size") +
           figure(size_plot(points, "1 - cosine"),
                  "Dot: mean over the texts; the line reaches to the worst text. Lower and further "
                  "left is better.") +
           html_table({"model", "bytes", "cos_mean", "cos_min"}, "lrrr", rows);
  }

  const json& site_list() const { return report_.at("smoothing").at("sites"); }

  std::string outliers() const {
    std::vector<HeatRow> before;
    std::vector<HeatRow> after;
    std::string layer;
    for (const json& site : site_list()) {
      const auto name = site.at("input").get<std::string>();
      const std::string mine = layer_of(name);
      const auto add = [&](const char* channels, const char* ratio, std::vector<HeatRow>& rows) {
        HeatRow row{name + ", " + fixed_digits(site.at(ratio).get<double>(), 1), "", {}};
        if (mine != layer) row.label = mine;
        double most = 0;
        for (const json& value : site.at(channels)) most = std::max(most, value.get<double>());
        const double median = most / std::max(site.at(ratio).get<double>(), 1e-9);
        for (const json& value : site.at(channels))
          row.ratios.push_back(median > 0 ? value.get<double>() / median : 0);
        rows.push_back(std::move(row));
      };
      add("channels_before", "outlier_before", before);
      add("channels_after", "outlier_after", after);
      layer = mine;
    }
    return heading("Outliers") +
           figure(heat_plot(before, after),
                  "A row is the input of one group of MatMuls, in the order they run; from left to "
                  "right its channels, in at most 64 runs of which the largest counts. Colour: the "
                  "largest |x| over the calibration texts, in medians of the row.");
  }

  std::string sites() const {
    std::vector<std::vector<std::string>> rows;
    Series smoothed{"model.int8.onnx", 2, {}};
    Series vanilla{"model.int8.vanilla.onnx", 1, {}};
    for (size_t i = 0; i < site_list().size(); ++i) {
      const json& site = site_list().at(i);
      const std::string at = "/smoothing/sites/" + std::to_string(i);
      std::vector<std::string> row = {
          std::to_string(i + 1),
          "<span class=\"name\">" + breaking(site.at("input").get<std::string>()) + "</span>",
          html_text(report_, at + "/folded_into", 44),
          fixed(at + "/alpha", 2),
          fixed(at + "/outlier_before", 1),
          fixed(at + "/outlier_after", 1)};
      const auto error = [&](const char* key, Series& series) {
        const bool there = site.contains(key);
        row.push_back(there ? html_scientific(report_, at + "/" + key) : "");
        if (there) series.values.push_back(site.at(key).get<double>());
      };
      error("error", smoothed);
      error("error_vanilla", vanilla);
      rows.push_back(std::move(row));
    }
    std::string out = heading("Sites");
    std::vector<Series> series;
    for (const Series* s : {&smoothed, &vanilla})
      if (s->values.size() == rows.size() && !rows.empty()) series.push_back(*s);
    if (!series.empty())
      out += figure(site_plot(series, "relative error"),
                    "Relative error of each group's products, all earlier sites quantized as well, "
                    "on up to four of the probe texts.");
    out +=
        html_table({"", "input", "1/s went into", "alpha", "outlier", "after", "error", "vanilla"},
                   "rllrrrrr", rows);
    return out +
           paragraph("Outlier: the largest channel maximum over the median one. Calibration: " +
                         html_whole(report_, "/settings/calibration/texts") + " texts, " +
                         html_whole(report_, "/settings/calibration/tokens") + " tokens (" +
                         html_text(report_, "/settings/calibration/name") + ").",
                     "soft");
  }

  std::string search() const {
    const json& retrieval = report_.at("retrieval");
    if (retrieval.is_null()) return "";
    const json& variants = retrieval.at("variants");
    std::vector<std::vector<std::string>> rows;
    std::vector<Interval> intervals;
    const size_t groups = variants.at(0).at("groups").size();
    for (size_t g = 0; g < groups; ++g) {
      const json& group = variants.at(0).at("groups").at(g);
      Interval interval{group.at("by") == "all" ? "all" : group.at("name").get<std::string>(), {}};
      for (size_t v = 0; v < variants.size(); ++v) {
        const std::string at =
            "/retrieval/variants/" + std::to_string(v) + "/groups/" + std::to_string(g);
        std::vector<std::string> row = {
            v == 0 ? html_escaped(interval.name) : "",
            short_name(variants.at(v).at("model").get<std::string>()),
            fixed(at + "/ndcg10", 4),
            "",
            "",
            fixed(at + "/recall1", 4),
            fixed(at + "/recall10", 4),
            "",
            "",
            has(at + "/anisotropy") ? fixed(at + "/anisotropy", 4) : ""};
        if (has(at + "/ndcg10_change")) {
          row[3] = fixed(at + "/ndcg10_change/mean", 4);
          row[4] =
              fixed(at + "/ndcg10_change/low", 4) + " to " + fixed(at + "/ndcg10_change/high", 4);
          row[7] = fixed(at + "/overlap10", 4);
          row[8] = fixed(at + "/rank_correlation", 4);
          const json& change = report_.at(json::json_pointer(at + "/ndcg10_change"));
          interval.parts.push_back({colour_of(variants.at(v).at("model").get<std::string>()),
                                    change.at("mean").get<double>(), change.at("low").get<double>(),
                                    change.at("high").get<double>()});
        }
        rows.push_back(std::move(row));
      }
      intervals.push_back(std::move(interval));
    }
    std::string out = heading("Search");
    out += paragraph("Set " + html_text(report_, "/retrieval/set/name") + ": " +
                     html_whole(report_, "/retrieval/set/documents") + " documents, " +
                     html_whole(report_, "/retrieval/set/queries") +
                     " queries, ranked by cosine. The reference is the FP32 model.");
    if (!intervals.front().parts.empty())
      out += plot_legend({{"model.int8.onnx", 2}, {"model.int8.vanilla.onnx", 1}}) +
             figure(interval_plot(intervals, "change of nDCG@10 against FP32"),
                    "By language of the query, with 95% intervals of a bootstrap over the queries. "
                    "An interval that holds 0 is a change that the set cannot tell from none.");
    return out + html_table({"queries", "model", "nDCG@10", "change", "95%", "R@1", "R@10",
                             "same top 10", "rho", "anisotropy"},
                            "llrrrrrrrr", rows);
  }

  // A table of three rows a language has no room for file names; the legend above has them.
  static std::string short_name(const std::string& model) {
    const int colour = colour_of(model);
    return colour == 2 ? "INT8" : colour == 1 ? "vanilla" : "FP32";
  }

  static int colour_of(const std::string& model) {
    for (const Variant& variant : kVariants)
      if (model == variant.name) return variant.colour;
    return 0;
  }

  std::string worst() const {
    const json& cosines = variants_.at("smoothed").at("cosines");
    std::vector<size_t> order(cosines.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return cosines.at(a).get<double>() < cosines.at(b).get<double>();
    });
    order.resize(std::min(order.size(), kWorstTexts));
    std::vector<std::string> header = {"", "text", "tokens"};
    for (const Variant& variant : shown_) header.emplace_back(variant.name);
    std::vector<std::vector<std::string>> rows;
    for (const size_t i : order) {
      const std::string number = std::to_string(i);
      std::vector<std::string> row = {std::to_string(i + 1),
                                      html_text(report_, "/quality/texts/" + number + "/text", 220),
                                      html_whole(report_, "/quality/texts/" + number + "/tokens")};
      for (const Variant& variant : shown_)
        row.push_back(
            fixed(std::string("/quality/variants/") + variant.key + "/cosines/" + number, 5));
      rows.push_back(std::move(row));
    }
    return heading("Worst texts") + html_table(header, "rlrrrr", rows);
  }

  std::string speed() const {
    const json& speed = report_.at("speed");
    if (speed.is_null()) return "";
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < speed.at("lines").size(); ++i) {
      const std::string at = "/speed/lines/" + std::to_string(i);
      rows.push_back({html_text(report_, at + "/name"), fixed(at + "/tokens_per_second", 0),
                      html_scientific(report_, at + "/p50_seconds"),
                      html_scientific(report_, at + "/p95_seconds"),
                      fixed(at + "/share_of_roof", 2)});
    }
    return heading("Speed and memory") +
           paragraph(html_text(report_, "/speed/model") + " on " +
                     html_text(report_, "/speed/kernels") + " kernels, " +
                     html_whole(report_, "/speed/threads") + " threads; " +
                     html_whole(report_, "/speed/weight_bytes") + " bytes of weights, opened in " +
                     fixed("/speed/open_seconds", 3) + " s.") +
           html_table({"texts x tokens", "tokens/s", "p50, s", "p95, s", "of the roof"}, "lrrrr",
                      rows);
  }

  std::string kept() const {
    const json& list = report_.at("quantization").at("kept");
    // Nodes of one reason together: a model of thirty layers has sixty products of attention.
    std::vector<std::pair<std::string, std::vector<std::string>>> reasons;
    for (const json& node : list) {
      const auto reason = node.at("reason").get<std::string>();
      auto found = std::find_if(reasons.begin(), reasons.end(),
                                [&](const auto& r) { return r.first == reason; });
      if (found == reasons.end()) found = reasons.insert(reasons.end(), {reason, {}});
      found->second.push_back(node.at("node").get<std::string>());
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& [reason, nodes] : reasons) {
      std::string names = "<span class=\"name\">" + html_escaped(shortened(nodes.front(), 120));
      if (nodes.size() > 1) names += " ... " + html_escaped(shortened(nodes.back(), 120));
      rows.push_back(
          {html_escaped(shortened(reason, 300)), std::to_string(nodes.size()), names + "</span>"});
    }
    std::string out = heading("What stayed in floating point") +
                      paragraph(html_whole(report_, "/quantization/quantized") +
                                " MatMuls have INT8 weights: initializers shrank from " +
                                html_whole(report_, "/quantization/bytes_before") + " to " +
                                html_whole(report_, "/quantization/bytes_after") +
                                " bytes. Everything that is no MatMul (norms, softmax, the "
                                "embedding table) stays as it was.");
    if (!rows.empty()) out += html_table({"why", "MatMuls", "which"}, "lrl", rows);
    return out;
  }

  std::string making() const {
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < report_.at("files").size(); ++i) {
      const std::string at = "/files/" + std::to_string(i);
      rows.push_back({"<span class=\"name\">" + html_text(report_, at + "/name") + "</span>",
                      html_whole(report_, at + "/size"),
                      "<span class=\"name\">" + html_text(report_, at + "/sha256") + "</span>"});
    }
    return heading("How it was made") + "<pre>" +
           html_escaped(report_.at("command").get<std::string>()) + "</pre>\n" +
           html_table({"file", "bytes", "SHA-256"}, "lrl", rows);
  }

  std::string history() const {
    std::string out = heading("Change history") + "<ul>\n";
    for (const json& entry : report_.at("history")) {
      out += "<li>" + html_escaped(entry.at("date").get<std::string>()) + ", octavo " +
             html_escaped(entry.at("octavo").get<std::string>()) + ": ";
      const auto why = entry.at("why").get<std::string>();
      if (!why.empty()) out += html_escaped(why) + ". ";
      std::string changes;
      for (const json& change : entry.at("changes"))
        changes += (changes.empty() ? "" : "; ") + change.get<std::string>();
      out += "<span class=\"soft\">" + html_escaped(changes) + "</span></li>\n";
    }
    return out + "</ul>\n";
  }

  const json& report_;
  const json& quality_;
  const json& variants_;
  std::vector<Variant> shown_;
};

}  // namespace

std::string report_page(const json& report) { return Page(report).str(); }

}  // namespace octavo
