#pragma once
// Texts to embed, read as a stream: one a line, or JSON Lines ({"text": "...", "id": any}) when the
// first line starts with '{'. Line n of a plain file is text n, empty lines too, so that the rows
// of an output match; blank lines of JSON Lines are skipped. A byte order mark and CR before LF are
// dropped.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace octavo::cli {

struct Record {
  std::string text;
  std::string id;     // JSON text, as in the input; "" when there is none
  uint64_t line = 0;  // from 1, in the input
};

class TextInput {
 public:
  // "-" is standard input. Errors: not_found, io.
  static Result<TextInput> open(const std::string& path);

  // Up to `most` records, fewer when their texts reach `bytes`; none at the end. Errors:
  // invalid_input naming the line.
  Result<std::vector<Record>> read(size_t most, size_t bytes);
  // For progress; the size is 0 when it is not known.
  uint64_t bytes_read() const { return read_; }
  uint64_t bytes_total() const { return total_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };
  TextInput(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  Result<bool> next_line(std::string& line);
  Result<Record> parse(const std::string& line) const;

  std::unique_ptr<std::FILE, Close> file_;
  std::string name_;
  uint64_t line_ = 0;
  uint64_t read_ = 0;
  uint64_t total_ = 0;
  bool json_lines_ = false;
};

}  // namespace octavo::cli
