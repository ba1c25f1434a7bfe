#include "toolkit/report_page.h"

#include "toolkit/model_card.h"
#include "toolkit/report_sections.h"
#include "toolkit/report_style.h"

namespace octavo {

using nlohmann::json;

namespace {

std::string making(const ReportView& view) {
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < view.at("/files").size(); ++i) {
    const std::string at = "/files/" + std::to_string(i);
    rows.push_back({"<span class=\"name\">" + view.text(at + "/name") + "</span>",
                    view.whole(at + "/size"),
                    "<span class=\"name\">" + view.text(at + "/sha256") + "</span>"});
  }
  return html_heading("How it was made") + "<pre>" +
         html_escaped(view.at("/command").get<std::string>()) + "</pre>\n" +
         html_table({"file", "bytes", "SHA-256"}, "lrl", rows);
}

std::string history(const ReportView& view) {
  std::string out = html_heading("Change history") + "<ul>\n";
  for (const json& entry : view.at("/history")) {
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

}  // namespace

std::string report_page(const json& report) {
  const ReportView view(report);
  return "<!doctype html>\n<html lang=\"en\">\n" + std::string(kRenderingMarker) +
         "\n<head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\">\n<title>" +
         html_escaped(view.at("/source/name").get<std::string>()) +
         ": INT8 report</title>\n<style>" + kReportStyle + "</style></head>\n<body>\n" +
         page_top(view) + page_quality(view) + page_size(view) + page_speed(view) +
         page_retrieval(view) + page_outliers(view) + page_sites(view) + page_alpha_search(view) +
         page_wide_nodes(view) + page_kept(view) + page_worst_texts(view) + making(view) +
         history(view) + "</body></html>\n";
}

}  // namespace octavo
