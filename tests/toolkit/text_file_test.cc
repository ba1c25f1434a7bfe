#include "toolkit/text_file.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

using Texts = std::vector<std::string>;

TEST(TextFile, ReadsLinesAndJsonLines) {
  const struct {
    std::string content;
    Texts texts;
  } cases[] = {
      {"one\ntwo\n", {"one", "two"}},
      {"one\r\n\r\n \t\ntwo", {"one", "two"}},         // CRLF, empty lines, no last newline
      {"\xef\xbb\xbfGr\xc3\xbcn\n", {"Gr\xc3\xbcn"}},  // byte order mark
      {"  indented {\n", {"  indented {"}},            // spaces are the text's own
      {"{\"text\": \"a\\nb\", \"id\": 3}\n\n{\"text\": \"{\"}\n", {"a\nb", "{"}},
  };
  for (const auto& c : cases) {
    const auto read = parse_texts(c.content, "file");
    ASSERT_TRUE(read) << c.content << read.error().message;
    EXPECT_EQ(*read, c.texts);
  }
}

TEST(TextFile, ErrorsNameFileAndLine) {
  const struct {
    std::string content, part;
  } cases[] = {
      {"", "f.txt: has no text"},
      {"\n\n", "f.txt: has no text"},
      {"{\"text\": \"a\"}\nplain\n", "f.txt: line 2"},
      {"{\"text\": \"a\"}\n{\"txt\": \"b\"}\n", "f.txt: line 2: needs an object"},
      {"{\"text\": 3}\n", "f.txt: line 1: needs an object"},
  };
  for (const auto& c : cases) {
    const auto read = parse_texts(c.content, "f.txt");
    ASSERT_FALSE(read) << c.content;
    EXPECT_EQ(read.error().code, Code::invalid_input);
    EXPECT_NE(read.error().message.find(c.part), std::string::npos) << read.error().message;
  }
  const auto missing = read_text_file("/no/such/texts.txt");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
}

}  // namespace
}  // namespace octavo
