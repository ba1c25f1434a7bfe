#include "toolkit/text_file.h"

#include "base/mapped_file.h"
#include "base/utf8.h"
#include "toolkit/text_lines.h"

namespace octavo {

Result<std::vector<std::string>> parse_texts(std::string_view content, const std::string& name) {
  TextLines lines(name);
  std::vector<TextLine> read;
  while (!content.empty()) {
    const size_t end = content.find('\n');
    OCTAVO_CHECK(lines.add(content.substr(0, end), read));
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
  }
  std::vector<std::string> texts;
  for (TextLine& line : read) {
    if (!is_utf8(line.text))
      return Error{Code::invalid_input, name + ": line " + std::to_string(line.line) +
                                            " is not UTF-8; convert the file, for example with " +
                                            "iconv -f LATIN1 -t UTF-8"};
    const bool blank = line.text.find_first_not_of(" \t") == std::string::npos;
    if (lines.json_lines() || !blank) texts.push_back(std::move(line.text));
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
