#include "toolkit/text_file.h"

#include "base/mapped_file.h"
#include "formats/json.h"

namespace octavo {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Result<std::string> text_of_line(std::string_view line, const std::string& name) {
  OCTAVO_TRY(const auto object, parse_json(line, name));
  const auto text = object.is_object() ? object.find("text") : object.end();
  if (text == object.end() || !text->is_string())
    return Error{Code::invalid_input, name + ": needs an object with a \"text\" string"};
  return text->get<std::string>();
}

}  // namespace

Result<std::vector<std::string>> parse_texts(std::string_view content, const std::string& name) {
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  const size_t first = content.find_first_not_of(" \t\r\n");
  const bool json_lines = first != std::string_view::npos && content[first] == '{';
  std::vector<std::string> texts;
  size_t number = 0;
  while (!content.empty()) {
    const size_t end = content.find('\n');
    std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (json_lines) {
      OCTAVO_TRY(auto text, text_of_line(line, name + ": line " + std::to_string(number)));
      texts.push_back(std::move(text));
    } else {
      texts.emplace_back(line);
    }
  }
  if (texts.empty())
    return Error{Code::invalid_input, name +
                                          ": has no text; expected one text a line, or JSON "
                                          "Lines with a \"text\" field"};
  return texts;
}

Result<std::vector<std::string>> read_text_file(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto bytes = mapped->bytes();
  return parse_texts({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

}  // namespace octavo
