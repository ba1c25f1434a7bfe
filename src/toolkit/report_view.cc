#include "toolkit/report_view.h"

namespace octavo {

using nlohmann::json;

ReportView::ReportView(const json& document)
    : report(document),
      quality(document.at("quality")),
      variants(document.at("quality").at("variants")) {
  for (const ReportVariant& variant : kReportVariants)
    if (variants.contains(variant.key)) shown.push_back(variant);
}

const json& ReportView::at(const std::string& pointer) const {
  return report.at(json::json_pointer(pointer));
}

bool ReportView::has(const std::string& pointer) const {
  const json::json_pointer where(pointer);
  return report.contains(where) && !report.at(where).is_null();
}

std::string ReportView::fixed(const std::string& pointer, int decimals) const {
  return html_fixed(report, pointer, decimals);
}

std::string ReportView::scientific(const std::string& pointer) const {
  return html_scientific(report, pointer);
}

std::string ReportView::whole(const std::string& pointer) const {
  return html_whole(report, pointer);
}

std::string ReportView::scaled(const std::string& pointer, double factor, int decimals) const {
  return html_scaled(report, pointer, factor, decimals);
}

std::string ReportView::text(const std::string& pointer, size_t characters) const {
  return html_text(report, pointer, characters);
}

std::vector<std::pair<std::string, int>> ReportView::legend() const {
  std::vector<std::pair<std::string, int>> out;
  for (const ReportVariant& variant : shown) out.emplace_back(variant.name, variant.colour);
  return out;
}

std::string html_code(const std::string& text) { return "<code>" + html_escaped(text) + "</code>"; }

std::string html_paragraph(const std::string& html, const char* classes) {
  return std::string("<p") + (*classes == '\0' ? "" : std::string(" class=\"") + classes + "\"") +
         ">" + html + "</p>\n";
}

std::string html_figure(const std::string& svg, const std::string& caption) {
  return "<figure><div class=\"scroll\">" + svg + "</div><figcaption>" + caption +
         "</figcaption></figure>\n";
}

std::string html_heading(const char* text) { return std::string("<h2>") + text + "</h2>\n"; }

std::string html_name(const std::string& name) {
  std::string out = "<span class=\"name\">";
  for (const char c : html_escaped(name)) {
    if (c == '/') out += "<wbr>";
    out += c;
  }
  return out + "</span>";
}

}  // namespace octavo
