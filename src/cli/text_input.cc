#include "cli/text_input.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "formats/json.h"

namespace octavo::cli {

namespace {

// Nobody embeds a book as one text; a file without line ends is more likely a mistake.
constexpr size_t kLongestLine = size_t{64} << 20;

}  // namespace

Result<TextInput> TextInput::open(const std::string& path) {
  if (path == "-") return TextInput(stdin, "standard input");
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    const Code code = errno == ENOENT ? Code::not_found : Code::io;
    return Error{code, path + ": " + std::strerror(errno)};
  }
  TextInput input(file, path);
  struct stat info {};
  if (::fstat(::fileno(file), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return Error{Code::invalid_input, path + ": is a folder"};
    if (S_ISREG(info.st_mode)) input.total_ = static_cast<uint64_t>(info.st_size);
  }
  return input;
}

// False at the end.
Result<bool> TextInput::next_line(std::string& line) {
  line.clear();
  int c = 0;
  while ((c = ::getc_unlocked(file_.get())) != EOF) {
    ++read_;
    if (c == '\n') break;
    if (line.size() == kLongestLine)
      return Error{Code::invalid_input, name_ + ": line " + std::to_string(line_ + 1) +
                                            " is longer than " + std::to_string(kLongestLine) +
                                            " bytes"};
    line.push_back(static_cast<char>(c));
  }
  if (std::ferror(file_.get()) != 0) return Error{Code::io, name_ + ": " + std::strerror(errno)};
  if (c == EOF && line.empty()) return false;
  ++line_;
  if (line_ == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

Result<Record> TextInput::parse(const std::string& line) const {
  const std::string where = name_ + ": line " + std::to_string(line_);
  OCTAVO_TRY(const auto object, parse_json(line, where));
  const auto text = object.is_object() ? object.find("text") : object.end();
  if (!object.is_object() || text == object.end() || !text->is_string())
    return Error{Code::invalid_input, where + ": needs an object with a \"text\" string"};
  Record record{text->get<std::string>(), "", line_};
  if (const auto id = object.find("id"); id != object.end()) record.id = id->dump();
  return record;
}

Result<std::vector<Record>> TextInput::read(size_t most, size_t bytes) {
  std::vector<Record> records;
  std::string line;
  size_t size = 0;
  while (records.size() < most && size < bytes) {
    OCTAVO_TRY(const bool more, next_line(line));
    if (!more) break;
    if (line_ == 1) json_lines_ = line.starts_with('{');
    if (json_lines_) {
      if (line.find_first_not_of(" \t") == std::string::npos) continue;
      OCTAVO_TRY(Record record, parse(line));
      records.push_back(std::move(record));
    } else {
      records.push_back({line, "", line_});
    }
    size += records.back().text.size();
  }
  return records;
}

}  // namespace octavo::cli
