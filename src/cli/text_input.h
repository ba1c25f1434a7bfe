#pragma once
// Texts to embed, read as a stream: one a line, or JSON Lines ({"text": "...", "id": any}) when the
// first line starts with '{'. Line n of a plain file is text n, empty lines too, so that the rows
// of an output match; blank lines of JSON Lines are skipped. A byte order mark and CR before LF are
// dropped.

#include <cstdint>
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
  // "-" is standard input. Errors: not_found, io, invalid_input for a folder.
  static Result<TextInput> open(const std::string& path);
  TextInput(TextInput&& other) noexcept;
  TextInput& operator=(TextInput&& other) noexcept;
  ~TextInput();

  // Up to `most` records, fewer when their texts reach `bytes`, or when the writer at the other end
  // of a pipe pauses: it gets answers to what it wrote so far. None at the end. Errors:
  // invalid_input naming the line, io.
  Result<std::vector<Record>> read(size_t most, size_t bytes);
  // For progress; the size is 0 when it is not known.
  uint64_t bytes_read() const { return read_; }
  uint64_t bytes_total() const { return total_; }

 private:
  TextInput(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  Result<bool> next_line(std::string& line);
  Status refill();
  bool would_wait() const;
  Result<Record> parse(const std::string& line) const;

  int descriptor_ = -1;
  std::string name_;
  std::string buffer_;
  size_t at_ = 0;  // first unread byte of buffer_
  bool end_ = false;
  bool json_lines_ = false;
  uint64_t line_ = 0;
  uint64_t read_ = 0;
  uint64_t total_ = 0;
};

}  // namespace octavo::cli
