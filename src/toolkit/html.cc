#include "toolkit/html.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace octavo {

using nlohmann::json;

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

const json& at(const json& document, const std::string& pointer) {
  return document.at(json::json_pointer(pointer));
}

std::string tagged(const std::string& pointer, const std::string& form, const std::string& text) {
  return "<data data-v=\"" + html_escaped(pointer) + "\" data-f=\"" + form + "\">" + text +
         "</data>";
}

// Bytes of the code point that starts with `lead`; 0 for a byte that starts none.
size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

// The code point at `i`, empty when the bytes there are none.
std::string_view code_point(std::string_view text, size_t i) {
  const size_t length = length_of(static_cast<unsigned char>(text[i]));
  if (length == 0 || i + length > text.size()) return {};
  for (size_t k = 1; k < length; ++k)
    if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return {};
  return text.substr(i, length);
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view point = code_point(text, i);
    i += std::max<size_t>(1, point.size());
    if (point.empty()) {
      out += kReplacement;
    } else if (point == "&") {
      out += "&amp;";
    } else if (point == "<") {
      out += "&lt;";
    } else if (point == ">") {
      out += "&gt;";
    } else if (point == "\"") {
      out += "&quot;";
    } else if (point == "'") {
      out += "&#39;";
    } else if (point.size() == 1 &&
               (point[0] == 0x7f || static_cast<unsigned char>(point[0]) < 32) && point != "\n" &&
               point != "\t") {
      out += kReplacement;
    } else {
      out += point;
    }
  }
  return out;
}

std::string shortened(const std::string& text, size_t characters) {
  size_t i = 0;
  for (size_t n = 0; i < text.size() && n < characters; ++n)
    i += std::max<size_t>(1, code_point(text, i).size());
  return i >= text.size() ? text : text.substr(0, i) + "\xe2\x80\xa6";
}

std::string fixed_digits(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

int decimals_of(double value, int least) {
  constexpr int kMost = 17;
  int decimals = least;
  while (decimals < kMost && std::strtod(fixed_digits(value, decimals).c_str(), nullptr) != value)
    ++decimals;
  return decimals;
}

std::string thousands(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string html_fixed(const json& document, const std::string& pointer, int decimals) {
  return tagged(pointer, std::to_string(decimals),
                fixed_digits(at(document, pointer).get<double>(), decimals));
}

std::string html_scientific(const json& document, const std::string& pointer) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", at(document, pointer).get<double>());
  return tagged(pointer, "e", text);
}

std::string html_whole(const json& document, const std::string& pointer) {
  return tagged(pointer, "w", thousands(at(document, pointer).get<uint64_t>()));
}

std::string html_scaled(const json& document, const std::string& pointer, double factor,
                        int decimals) {
  char form[48];
  std::snprintf(form, sizeof form, "%g*%d", factor, decimals);
  return tagged(pointer, form,
                fixed_digits(at(document, pointer).get<double>() * factor, decimals));
}

std::string html_text(const json& document, const std::string& pointer, size_t characters) {
  const auto text = shortened(at(document, pointer).get<std::string>(), characters);
  // Text of any direction, in a page that reads from left to right.
  return "<bdi>" + html_escaped(text) + "</bdi>";
}

std::string html_table(const std::vector<std::string>& header, std::string_view align,
                       const std::vector<std::vector<std::string>>& rows) {
  std::vector<bool> used(header.size(), rows.empty());
  for (const auto& row : rows)
    for (size_t i = 0; i < std::min(row.size(), used.size()); ++i)
      used[i] = used[i] || !row[i].empty();
  const auto cell = [&](const char* name, size_t column, const std::string& content) {
    if (column < used.size() && !used[column]) return std::string();
    const bool right = column < align.size() && align[column] == 'r';
    return std::string("<") + name + (right ? " class=\"r\">" : ">") + content + "</" + name + ">";
  };
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (size_t i = 0; i < header.size(); ++i) out += cell("th", i, header[i]);
  out += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) out += cell("td", i, row[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace octavo
