#pragma once
// What the sections of report.html share: the document, its variants, and the HTML around numbers.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "toolkit/html.h"

namespace octavo {

// In the order in which they are shown; colours are those of the style sheet.
struct ReportVariant {
  const char* key;
  const char* name;
  int colour;
};
inline constexpr ReportVariant kReportVariants[] = {{"imported", "FP32 before quantization", 0},
                                                    {"smoothed", "model.int8.onnx", 2},
                                                    {"vanilla", "model.int8.vanilla.onnx", 1}};

class ReportView {
 public:
  // Precondition: a document of make_report(), which outlives the view.
  explicit ReportView(const nlohmann::json& report);

  const nlohmann::json& report;
  const nlohmann::json& quality;
  const nlohmann::json& variants;
  std::vector<ReportVariant> shown;  // those that were measured

  // What is at the pointer; has(): whether there is something, and not null.
  const nlohmann::json& at(const std::string& pointer) const;
  bool has(const std::string& pointer) const;

  // As the functions of html.h, which mark each number with its pointer.
  std::string fixed(const std::string& pointer, int decimals) const;
  std::string scientific(const std::string& pointer) const;
  std::string whole(const std::string& pointer) const;
  std::string scaled(const std::string& pointer, double factor, int decimals) const;
  std::string text(const std::string& pointer, size_t characters = 400) const;

  std::vector<std::pair<std::string, int>> legend() const;
};

std::string html_code(const std::string& text);
std::string html_paragraph(const std::string& html, const char* classes = "");
std::string html_figure(const std::string& svg, const std::string& caption);
std::string html_heading(const char* text);
// A name in small type that may break before each slash.
std::string html_name(const std::string& name);

}  // namespace octavo
