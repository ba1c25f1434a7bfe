#include "cli/text_input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace octavo::cli {

namespace {

// Nobody embeds a book as one text; a file without line ends is more likely a mistake.
constexpr size_t kLongestLine = size_t{64} << 20;
constexpr size_t kBlock = size_t{256} << 10;

}  // namespace

Result<TextInput> TextInput::open(const std::string& path) {
  if (path == "-") return TextInput(STDIN_FILENO, "standard input");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const Code code = errno == ENOENT ? Code::not_found : Code::io;
    return Error{code, path + ": " + std::strerror(errno)};
  }
  TextInput input(descriptor, path);
  struct stat info {};
  if (::fstat(descriptor, &info) == 0) {
    if (S_ISDIR(info.st_mode)) return Error{Code::invalid_input, path + ": is a folder"};
    if (S_ISREG(info.st_mode)) input.total_ = static_cast<uint64_t>(info.st_size);
  }
  return input;
}

TextInput::TextInput(TextInput&& other) noexcept : TextInput(-1, "") { *this = std::move(other); }

TextInput& TextInput::operator=(TextInput&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  name_ = std::move(other.name_);
  buffer_ = std::move(other.buffer_);
  at_ = other.at_;
  end_ = other.end_;
  lines_ = std::move(other.lines_);
  read_ = other.read_;
  total_ = other.total_;
  return *this;
}

TextInput::~TextInput() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

Status TextInput::refill() {
  buffer_.resize(kBlock);
  at_ = 0;
  ssize_t got = -1;
  do {
    got = ::read(descriptor_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  buffer_.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (got < 0) return Error{Code::io, name_ + ": " + std::strerror(errno)};
  end_ = got == 0;
  return Done{};
}

bool TextInput::ready(int milliseconds) const {
  if (end_ || at_ < buffer_.size()) return true;
  struct pollfd what {};
  what.fd = descriptor_;
  what.events = POLLIN;
  return ::poll(&what, 1, milliseconds) != 0;
}

// False at the end.
Result<bool> TextInput::next_line(std::string& line) {
  line.clear();
  bool found = false;
  while (!found) {
    if (at_ == buffer_.size()) {
      if (!end_) OCTAVO_CHECK(refill());
      if (end_) break;
    }
    const size_t stop = buffer_.find('\n', at_);
    found = stop != std::string::npos;
    const size_t size = (found ? stop : buffer_.size()) - at_;
    if (line.size() + size > kLongestLine)
      return Error{Code::invalid_input, name_ + ": line " + std::to_string(lines_.lines() + 1) +
                                            " is longer than " + std::to_string(kLongestLine) +
                                            " bytes"};
    line.append(buffer_, at_, size);
    at_ += size + (found ? 1 : 0);
    read_ += size + (found ? 1 : 0);
  }
  return found || !line.empty();
}

Result<std::vector<Record>> TextInput::read(size_t most, size_t bytes) {
  std::vector<Record> records;
  std::string line;
  size_t size = 0;
  while (records.size() < most && size < bytes) {
    if (!records.empty() && !ready(0)) break;
    OCTAVO_TRY(const bool more, next_line(line));
    if (!more) {
      lines_.finish(records);
      break;
    }
    const size_t before = records.size();
    OCTAVO_CHECK(lines_.add(line, records));
    for (size_t i = before; i < records.size(); ++i) size += records[i].text.size();
  }
  return records;
}

}  // namespace octavo::cli
