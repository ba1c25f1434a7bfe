#include "toolkit/text_lines.h"

#include <iterator>

#include "formats/json.h"

namespace octavo {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

Status TextLines::add(std::string_view line, std::vector<TextLine>& texts) {
  ++lines_;
  if (lines_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t first = line.find_first_not_of(" \t");
  const bool blank = first == std::string_view::npos;
  if (kind_ == Kind::unknown && !blank) {
    kind_ = line[first] == '{' ? Kind::json_lines : Kind::plain;
    if (kind_ == Kind::json_lines) waiting_.clear();
    finish(texts);
  }
  if (kind_ == Kind::json_lines) return blank ? Status(Done{}) : add_json(line, texts);
  (kind_ == Kind::unknown ? waiting_ : texts).push_back({std::string(line), "", lines_});
  return Done{};
}

Status TextLines::add_json(std::string_view line, std::vector<TextLine>& texts) const {
  const std::string where = name_ + ": line " + std::to_string(lines_);
  OCTAVO_TRY(const auto object, parse_json(line, where));
  const auto text = object.is_object() ? object.find("text") : object.end();
  if (text == object.end() || !text->is_string())
    return Error{Code::invalid_input, where + ": needs an object with a \"text\" string"};
  TextLine parsed{text->get<std::string>(), "", lines_};
  if (const auto id = object.find("id"); id != object.end()) parsed.id = id->dump();
  texts.push_back(std::move(parsed));
  return Done{};
}

void TextLines::finish(std::vector<TextLine>& texts) {
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(texts));
  waiting_.clear();
}

}  // namespace octavo
