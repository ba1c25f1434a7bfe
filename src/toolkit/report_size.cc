#include "toolkit/plots.h"
#include "toolkit/report_sections.h"

namespace octavo {

using nlohmann::json;

namespace {

// "fp32" of the imported model, whose vectors are measured only against a file.
const char* size_key(const ReportVariant& variant) {
  return variant.colour == 0 ? "fp32" : variant.key;
}

constexpr std::pair<const char*, const char*> kParts[] = {
    {"tables", "embedding tables"}, {"linears", "weights of linear layers"}, {"rest", "the rest"}};

std::string parts(const ReportView& view) {
  std::vector<SizeBar> bars;
  std::vector<std::vector<std::string>> rows;
  for (const ReportVariant& variant : kReportVariants) {
    const std::string at = std::string("/size_parts/") + size_key(variant);
    if (!view.has(at)) continue;
    bars.push_back({variant.name, {}});
    rows.push_back({html_code(variant.name)});
    for (const auto& [key, name] : kParts) {
      const std::string part = at + "/" + key;
      bars.back().parts.emplace_back(name, view.at(part).get<double>() / 1e6);
      rows.back().push_back(view.whole(part));
    }
  }
  if (bars.empty()) return "";
  return plot_legend({{kParts[0].second, 0}, {kParts[1].second, 1}, {kParts[2].second, 2}}, 'p') +
         html_figure(parts_plot(bars),
                     "Where the bytes are. The rest: scales, biases, norms and the graph.") +
         html_table({"bytes", kParts[0].second, kParts[1].second, kParts[2].second}, "lrrr", rows);
}

// What was chosen among, when a size was asked for.
std::string choice(const ReportView& view) {
  if (!view.has("/size_choice")) return "";
  std::vector<std::vector<std::string>> rows;
  const json& forms = view.at("/size_choice/forms");
  for (size_t i = 0; i < forms.size(); ++i) {
    const std::string at = "/size_choice/forms/" + std::to_string(i);
    const bool chosen = view.at("/size_choice/chosen").get<size_t>() == i;
    rows.push_back({view.text(at + "/table"), view.whole(at + "/bytes"), chosen ? "chosen" : ""});
  }
  return html_paragraph("At most " + view.whole("/size_choice/limit") +
                        " bytes were asked for, vanilla and reports not counted. Of the forms of "
                        "the embedding table that fit, the one that loses least was taken.") +
         html_table({"table", "bytes of all files", ""}, "lrl", rows);
}

}  // namespace

std::string page_size(const ReportView& view) {
  std::vector<SizedPoint> points;
  std::vector<std::vector<std::string>> rows;
  for (const ReportVariant& variant : kReportVariants) {
    const std::string bytes = std::string("/sizes/") + size_key(variant);
    if (!view.has(bytes)) continue;
    SizedPoint point{variant.name, variant.colour, view.at(bytes).get<double>() / 1e6, 0, 0};
    std::vector<std::string> row = {html_code(variant.name), view.whole(bytes), "the reference",
                                    "the reference"};
    if (view.variants.contains(variant.key)) {
      const json& v = view.variants.at(variant.key);
      point.mean = 1 - v.at("cos_mean").get<double>();
      point.worst = 1 - v.at("cos_min").get<double>();
      const std::string at = std::string("/quality/variants/") + variant.key;
      row[2] = view.fixed(at + "/cos_mean", 5);
      row[3] = view.fixed(at + "/cos_min", 5);
    }
    points.push_back(std::move(point));
    rows.push_back(std::move(row));
  }
  return html_heading("Quality against size") +
         html_figure(size_plot(points, "1 - cosine"),
                     "Dot: mean over the texts; the line reaches to the worst text. Lower and "
                     "further left is better.") +
         html_table({"model", "bytes", "cos_mean", "cos_min"}, "lrrr", rows) + parts(view) +
         choice(view);
}

std::string page_speed(const ReportView& view) {
  if (!view.has("/speed")) return "";
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < view.at("/speed/lines").size(); ++i) {
    const std::string at = "/speed/lines/" + std::to_string(i);
    rows.push_back({view.text(at + "/name"), view.fixed(at + "/tokens_per_second", 0),
                    view.scaled(at + "/p50_seconds", 1e3, 2),
                    view.scaled(at + "/p95_seconds", 1e3, 2),
                    view.scaled(at + "/share_of_roof", 100, 0) + "%"});
  }
  std::string head = view.text("/speed/model") + " on " + view.text("/speed/kernels") +
                     " kernels, threads: " + view.whole("/speed/threads") + ". Weights " +
                     view.scaled("/speed/weight_bytes", 1e-6, 1) + " MB, opened in " +
                     view.scaled("/speed/open_seconds", 1e3, 0) + " ms";
  // Reports of speed from before it was measured have none.
  if (view.has("/speed/peak_bytes"))
    head += ", largest resident memory " + view.scaled("/speed/peak_bytes", 1e-6, 0) + " MB";
  return html_heading("Speed and memory") + html_paragraph(head + ".") +
         html_table({"texts x tokens", "tokens/s", "p50, ms", "p95, ms", "of the roof"}, "lrrrr",
                    rows) +
         html_paragraph(
             "From token ids to pooled vectors. The roof is what the linear layers "
             "alone need at the machine's measured peaks.",
             "soft");
}

}  // namespace octavo
