#pragma once
// Texts to embed, read as a stream of lines (toolkit/text_lines.h says what a line is). Empty lines
// of a plain file are texts too, so that the rows of an output match.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "toolkit/text_lines.h"

namespace octavo::cli {

using Record = TextLine;

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
  // Waits for something to read, or the end of it, but not longer than that.
  bool ready(int milliseconds) const;
  // For progress; the size is 0 when it is not known.
  uint64_t bytes_read() const { return read_; }
  uint64_t bytes_total() const { return total_; }

 private:
  TextInput(int descriptor, const std::string& name)
      : descriptor_(descriptor), name_(name), lines_(name) {}
  Result<bool> next_line(std::string& line);
  Status refill();

  int descriptor_ = -1;
  std::string name_;
  std::string buffer_;
  size_t at_ = 0;  // first unread byte of buffer_
  bool end_ = false;
  TextLines lines_;
  uint64_t read_ = 0;
  uint64_t total_ = 0;
};

}  // namespace octavo::cli
