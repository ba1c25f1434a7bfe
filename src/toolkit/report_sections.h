#pragma once
// The sections of report.html, each with its heading; "" where the report has nothing for it.

#include <string>

#include "toolkit/report_view.h"

namespace octavo {

// report_quality.cc
std::string page_top(const ReportView& view);
std::string page_quality(const ReportView& view);
std::string page_worst_texts(const ReportView& view);
// report_size.cc
std::string page_size(const ReportView& view);
std::string page_speed(const ReportView& view);
// report_retrieval.cc
std::string page_retrieval(const ReportView& view);
// report_sites.cc
std::string page_outliers(const ReportView& view);
std::string page_sites(const ReportView& view);
std::string page_alpha_search(const ReportView& view);
// report_precision.cc
std::string page_wide_nodes(const ReportView& view);
std::string page_kept(const ReportView& view);

}  // namespace octavo
