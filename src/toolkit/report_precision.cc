#include <algorithm>
#include <numeric>

#include "toolkit/plots.h"
#include "toolkit/report_sections.h"

namespace octavo {

using nlohmann::json;

namespace {

// Inputs that a table lists beyond those that were chosen.
constexpr size_t kNext = 5;

// "model.layers.0.mlp.down_proj" of several: what they share, then how many.
std::string nodes_of(const json& nodes) {
  std::string out = html_name(shortened(nodes.at(0).get<std::string>(), 100));
  if (nodes.size() > 1) out += " and " + std::to_string(nodes.size() - 1) + " more";
  return out;
}

std::string judged(const ReportView& view) {
  const std::string at = "/protection";
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, name] :
       {std::pair("narrow", "8 bits everywhere"), std::pair("chosen", "this choice"),
        std::pair("wide", "16 bits everywhere")}) {
    const std::string row = at + "/" + key;
    if (!view.has(row)) continue;
    rows.push_back({name, view.fixed(row + "/cos_min", 5), view.fixed(row + "/cos_p5", 5),
                    view.fixed(row + "/cos_mean", 5)});
  }
  return html_table({"activations", "cos_min", "p5", "cos_mean"}, "lrrr", rows) +
         html_paragraph(
             "On " + view.whole(at + "/texts") + " calibration texts; the probe's are above.",
             "soft");
}

std::string choice(const ReportView& view) {
  const json& sites = view.at("/protection/sites");
  std::vector<Stem> stems;
  std::vector<size_t> order(sites.size());
  std::iota(order.begin(), order.end(), size_t{0});
  size_t chosen = 0;
  for (const json& site : sites) {
    const bool wide = site.at("bits").get<int>() == 16;
    chosen += wide ? 1 : 0;
    stems.push_back({site.at("nodes").at(0).get<std::string>(), wide ? 2 : 0,
                     std::max(0.0, site.at("worth").get<double>())});
  }
  // Those with 16 bits first, each kind by worth a product.
  const auto value = [&](size_t i) {
    return sites.at(i).at("worth").get<double>() /
           std::max(sites.at(i).at("share").get<double>(), 1e-12);
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const bool first = sites.at(a).at("bits").get<int>() == 16;
    const bool second = sites.at(b).at("bits").get<int>() == 16;
    return first != second ? first : value(a) > value(b);
  });
  order.resize(std::min(order.size(), chosen + kNext));
  std::vector<std::vector<std::string>> rows;
  for (const size_t i : order) {
    const std::string at = "/protection/sites/" + std::to_string(i);
    rows.push_back({std::to_string(i + 1), nodes_of(sites.at(i).at("nodes")),
                    view.scaled(at + "/share", 100, 2) + "%", view.scientific(at + "/worth"),
                    view.whole(at + "/bits")});
  }
  return plot_legend({{"16 bits", 2}, {"8 bits", 0}}) +
         html_figure(stem_plot(stems, {.x_label = "input, in the order they run",
                                       .y_label = "what 16 bits save",
                                       .logarithmic = true,
                                       .floor = 1e-8}),
                     "What the mean of 1 - cosine rises when this input alone goes back to 8 bits, "
                     "all others having 16. On the axis: that or less.") +
         html_table({"", "MatMuls of one input", "of the products", "saves", "bits"}, "rlrrr",
                    rows);
}

}  // namespace

std::string page_wide_nodes(const ReportView& view) {
  const json& wide = view.at("/quantization/wide");
  if (wide.empty() && !view.has("/protection")) return "";
  std::string out =
      html_heading("16-bit activations") +
      html_paragraph(
          std::to_string(wide.size()) + " of " + view.whole("/quantization/quantized") +
          " MatMuls read activations of 16 bits, as two bytes, exact in 8-bit products with the "
          "same INT8 weights: no weight byte more, " +
          view.scaled("/quantization/extra_macs", 100, 1) + "% more multiplications over all.");
  if (view.has("/protection")) return out + judged(view) + choice(view);
  // Asked for by name: no measurement chose them.
  std::string names;
  for (const json& node : wide)
    names += (names.empty() ? "" : ", ") + html_name(shortened(node.get<std::string>(), 100));
  return out + html_paragraph(names);
}

std::string page_kept(const ReportView& view) {
  const json& list = view.at("/quantization/kept");
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
    std::string names = html_name(shortened(nodes.front(), 120));
    if (nodes.size() > 1) names += " ... " + html_name(shortened(nodes.back(), 120));
    rows.push_back({html_escaped(shortened(reason, 300)), std::to_string(nodes.size()), names});
  }
  std::string table = "The embedding table is " + view.text("/settings/table");
  if (view.has("/quantization/table"))
    table += ", " + view.whole("/quantization/table/bytes_before") + " bytes before and " +
             view.whole("/quantization/table/bytes_after") + " now";
  std::string out = html_heading("What stayed in floating point") +
                    html_paragraph(view.whole("/quantization/quantized") +
                                   " MatMuls have INT8 weights: initializers shrank from " +
                                   view.whole("/quantization/bytes_before") + " to " +
                                   view.whole("/quantization/bytes_after") + " bytes. " + table +
                                   ". Everything else that is no MatMul (norms, softmax) stays as "
                                   "it was.");
  if (!rows.empty()) out += html_table({"why", "MatMuls", "which"}, "lrl", rows);
  return out;
}

}  // namespace octavo
