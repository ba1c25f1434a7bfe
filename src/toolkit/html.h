#pragma once
// Text and numbers for a page that is a rendering of a JSON document and knows nothing else: each
// number says where it stands in the document (data-v, a JSON pointer), so that a test can hold all
// of them against it.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace octavo {

// For element content and quoted attributes; control characters, which no page may hold, become
// U+FFFD, and so do bytes that are not UTF-8.
std::string html_escaped(std::string_view text);

// At most `characters` code points, an ellipsis instead of the rest.
std::string shortened(const std::string& text, size_t characters);

std::string fixed_digits(double value, int decimals);
// Digits after the point with which the value reads back the same, `least` or more: 0.9984 has 4.
int decimals_of(double value, int least);
std::string thousands(uint64_t value);  // "1,234,567"

// The number at `pointer`: with decimals, as "%.1e", whole with commas, or times a factor (bytes in
// MB, a share in percent). Precondition: it is there.
std::string html_fixed(const nlohmann::json& document, const std::string& pointer, int decimals);
std::string html_scientific(const nlohmann::json& document, const std::string& pointer);
std::string html_whole(const nlohmann::json& document, const std::string& pointer);
std::string html_scaled(const nlohmann::json& document, const std::string& pointer, double factor,
                        int decimals);
// The string at `pointer`, escaped, cut at `characters`.
std::string html_text(const nlohmann::json& document, const std::string& pointer,
                      size_t characters = 400);

// A table; cells hold HTML. `align` has a letter a column, 'r' or 'l'. A column that is empty in
// all rows is left out: not every build has an alpha or a vanilla variant.
std::string html_table(const std::vector<std::string>& header, std::string_view align,
                       const std::vector<std::vector<std::string>>& rows);

}  // namespace octavo
