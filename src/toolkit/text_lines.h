#pragma once
// The one reading of a file of texts, line by line: one text a line, or JSON Lines ({"text": "...",
// "id": any}) when the first character that is no blank is '{'. Line n of a plain file is text n,
// empty lines too; blank lines of JSON Lines are skipped. A byte order mark and CR before LF are
// dropped.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

struct TextLine {
  std::string text;
  std::string id;     // JSON text, as in the input; "" when there is none
  uint64_t line = 0;  // from 1, in the input
};

class TextLines {
 public:
  // `name` is what error messages call the input.
  explicit TextLines(std::string name) : name_(std::move(name)) {}

  // The next line, without its LF; appends the texts that are complete with it. Blank lines at the
  // start wait for the line that decides. Errors: invalid_input naming the line.
  Status add(std::string_view line, std::vector<TextLine>& texts);
  // At the end of the input: what still waits.
  void finish(std::vector<TextLine>& texts);

  bool json_lines() const { return kind_ == Kind::json_lines; }
  uint64_t lines() const { return lines_; }

 private:
  enum class Kind : uint8_t { unknown, plain, json_lines };
  Status add_json(std::string_view line, std::vector<TextLine>& texts) const;

  std::string name_;
  Kind kind_ = Kind::unknown;
  uint64_t lines_ = 0;
  std::vector<TextLine> waiting_;
};

}  // namespace octavo
