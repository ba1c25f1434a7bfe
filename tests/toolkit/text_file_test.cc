#include "toolkit/text_file.h"

#include <gtest/gtest.h>

#include "toolkit/text_lines.h"

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

// embed reads lines one by one and keeps empty ones; what a file is, both decide alike.
TEST(TextLines, DecideAtTheFirstCharacterThatIsNoBlank) {
  struct Read {
    std::vector<std::string> texts, ids;
    std::vector<uint64_t> lines;
    bool json = false;
  };
  const auto read = [](const std::vector<std::string>& lines) {
    TextLines reader("in");
    std::vector<TextLine> found;
    for (const std::string& line : lines) EXPECT_TRUE(reader.add(line, found)) << line;
    reader.finish(found);
    Read out;
    out.json = reader.json_lines();
    for (const TextLine& t : found) {
      out.texts.push_back(t.text);
      out.ids.push_back(t.id);
      out.lines.push_back(t.line);
    }
    return out;
  };
  const Read json =
      read({"\xef\xbb\xbf", " \t\r", "  {\"text\": \"a\", \"id\": [1]}\r", "", "{\"text\": \"\"}"});
  EXPECT_TRUE(json.json);
  EXPECT_EQ(json.texts, (Texts{"a", ""}));
  EXPECT_EQ(json.ids, (Texts{"[1]", ""}));
  EXPECT_EQ(json.lines, (std::vector<uint64_t>{3, 5}));
  const Read plain = read({"", " ", "x {", "", "{\"text\": \"a\"}", ""});
  EXPECT_FALSE(plain.json);
  EXPECT_EQ(plain.texts, (Texts{"", " ", "x {", "", "{\"text\": \"a\"}", ""}));
  EXPECT_EQ(plain.lines, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read({"", " "}).texts, (Texts{"", " "})) << "nothing decided";
  EXPECT_EQ(read({}).texts, Texts{});
  EXPECT_EQ(*parse_texts("\n \n  {\"text\": \"a\"}\n", "in"), Texts{"a"});
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
      {"one\n\ncaf\xe9\n", "f.txt: line 3 is not UTF-8; convert the file"},
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
