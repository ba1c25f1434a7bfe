#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "text/tiny_tokenizer.h"

namespace octavo {
namespace {

using test::kBpe;
using test::kWordLevel;
using Ids = std::vector<int64_t>;

Tokenizer parse(const std::string& json) {
  auto tokenizer = Tokenizer::parse(json, "tokenizer.json");
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return *std::move(tokenizer);
}

TEST(Tokenizer, AddsSpecialTokensAndIgnoresTheFilesTruncationAndPadding) {
  const auto tokenizer = parse(kWordLevel);
  const auto encoding = tokenizer.encode("one two three one");
  ASSERT_TRUE(encoding) << encoding.error().message;
  EXPECT_EQ(encoding->ids, (Ids{1, 3, 4, 5, 3, 2}));
  EXPECT_EQ(encoding->type_ids, (Ids{0, 1, 1, 1, 1, 0}));
  EXPECT_EQ(encoding->full_length, 6u);
  EXPECT_FALSE(encoding->truncated());
}

TEST(Tokenizer, TruncationCutsTheTextAndKeepsTheSpecialTokens) {
  const auto tokenizer = parse(kWordLevel);
  struct Case {
    size_t max_length;
    Ids ids;
    bool truncated;
  };
  for (const Case& c :
       {Case{7, {1, 3, 4, 5, 3, 2}, false}, Case{6, {1, 3, 4, 5, 3, 2}, false},
        Case{5, {1, 3, 4, 5, 2}, true}, Case{3, {1, 3, 2}, true}, Case{2, {1, 2}, true}}) {
    const auto encoding = tokenizer.encode("one two three one", c.max_length);
    ASSERT_TRUE(encoding) << encoding.error().message;
    EXPECT_EQ(encoding->ids, c.ids) << c.max_length;
    EXPECT_EQ(encoding->type_ids.size(), c.ids.size());
    EXPECT_EQ(encoding->full_length, 6u);
    EXPECT_EQ(encoding->truncated(), c.truncated);
  }
  const auto none = tokenizer.encode("one", 1);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::invalid_input);
  EXPECT_NE(none.error().message.find("2 special tokens"), std::string::npos)
      << none.error().message;
}

TEST(Tokenizer, TruncationAtTheStartKeepsTheEnd) {
  const auto tokenizer = parse(kWordLevel);
  for (const auto& [max_length, ids] : std::vector<std::pair<size_t, Ids>>{
           {6, {1, 3, 4, 5, 3, 2}}, {5, {1, 4, 5, 3, 2}}, {3, {1, 3, 2}}, {2, {1, 2}}}) {
    const auto encoding = tokenizer.encode("one two three one", max_length, CutSide::start);
    ASSERT_TRUE(encoding) << encoding.error().message;
    EXPECT_EQ(encoding->ids, ids) << max_length;
    EXPECT_EQ(encoding->full_length, 6u);
  }
}

TEST(Tokenizer, PiecesSayWhereTokensCameFrom) {
  const auto tokenizer = parse(kWordLevel);
  const auto pieces = tokenizer.pieces("one \xff two");
  ASSERT_TRUE(pieces);
  Ids ids;
  std::vector<size_t> spans;
  std::vector<bool> special;
  for (const TokenPiece& piece : *pieces) {
    ids.push_back(piece.id);
    spans.insert(spans.end(), {piece.start, piece.stop});
    special.push_back(piece.special);
  }
  EXPECT_EQ(ids, tokenizer.encode("one \xff two")->ids);
  // The bad byte counts as the three bytes of U+FFFD.
  EXPECT_EQ(spans, (std::vector<size_t>{0, 0, 0, 3, 4, 7, 8, 11, 0, 0}));
  EXPECT_EQ(special, (std::vector<bool>{true, false, false, false, true}));
  EXPECT_EQ(tokenizer.pieces("one", false)->size(), 1u);
  EXPECT_TRUE(tokenizer.pieces("", false)->empty());
  // A character of several tokens is the span of each of them.
  const auto bytes = parse(kBpe).pieces("ab \xcc\x81");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 3u);
  EXPECT_EQ(bytes->back().start, 3u);
  EXPECT_EQ(bytes->back().stop, 5u);
}

TEST(Tokenizer, EmptyTextIsTheSpecialTokensAlone) {
  const auto encoding = parse(kWordLevel).encode("");
  ASSERT_TRUE(encoding);
  EXPECT_EQ(encoding->ids, (Ids{1, 2}));
  const auto bare = parse(kBpe).encode("");
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->ids.empty());
}

TEST(Tokenizer, BadUtf8BecomesTheReplacementCharacterAndNulIsText) {
  const auto tokenizer = parse(kWordLevel);
  // A lone continuation byte, an overlong form's first byte, a surrogate (three ill-formed bytes).
  for (const auto& [text, ids] :
       std::vector<std::pair<std::string, Ids>>{{"one \x80 two", {1, 3, 6, 4, 2}},
                                                {"\xc0", {1, 6, 2}},
                                                {"\xed \xa0 \x80", {1, 6, 6, 6, 2}},
                                                {std::string("\0 one", 5), {1, 0, 3, 2}},
                                                {std::string("one\0", 4), {1, 0, 2}}}) {
    const auto encoding = tokenizer.encode(text);
    ASSERT_TRUE(encoding) << encoding.error().message;
    EXPECT_EQ(encoding->ids, ids) << testing::PrintToString(text);
  }
}

TEST(Tokenizer, SpecialTokensInTheTextAreSpecialTokens) {
  const auto encoding = parse(kWordLevel).encode("one[SEP]two<extra>");
  ASSERT_TRUE(encoding);
  EXPECT_EQ(encoding->ids, (Ids{1, 3, 2, 4, 7, 2}));
}

TEST(Tokenizer, VocabularyBothWays) {
  const auto tokenizer = parse(kWordLevel);
  EXPECT_EQ(tokenizer.vocabulary_size(), 8u);
  EXPECT_EQ(tokenizer.token(3), "one");
  EXPECT_EQ(tokenizer.token(7), "<extra>");
  EXPECT_EQ(tokenizer.token(8), "");
  EXPECT_EQ(tokenizer.token(-1), "");
  EXPECT_EQ(tokenizer.token(int64_t{1} << 32), "");  // not id 0
  EXPECT_EQ(tokenizer.id_of("two"), 4);
  EXPECT_EQ(tokenizer.id_of("<extra>"), 7);
  EXPECT_EQ(tokenizer.id_of("four"), -1);
  EXPECT_EQ(tokenizer.id_of("\xff"), -1);
}

TEST(Tokenizer, Decodes) {
  const auto tokenizer = parse(kBpe);
  EXPECT_EQ(*tokenizer.decode(Ids{3, 9, 13, 16}), "abab e\u0301");
  const auto words = parse(kWordLevel);
  EXPECT_EQ(*words.decode(Ids{1, 3, 2}), "[CLS] one [SEP]");
  EXPECT_EQ(*words.decode(Ids{1, 3, 2}, true), "one");
  for (const int64_t id : {int64_t{-1}, int64_t{1} << 31, int64_t{1} << 32})
    EXPECT_FALSE(words.decode(Ids{id})) << id;
}

TEST(Tokenizer, DropoutInTheFileIsOff) {
  const auto tokenizer = parse(kBpe);  // "dropout": 0.5
  for (int i = 0; i < 50; ++i) EXPECT_EQ(tokenizer.encode("abab")->ids, Ids{3});
}

TEST(Tokenizer, OpenNamesTheFile) {
  const auto missing = Tokenizer::open("/nonexistent/tokenizer.json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  const auto empty = Tokenizer::open("/dev/null");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Code::invalid_input);
}

}  // namespace
}  // namespace octavo
