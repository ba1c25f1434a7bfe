// Malformed tokenizer.json: an error that names the file and the reason, never a crash.

#include <gtest/gtest.h>

#include "text/tiny_tokenizer.h"
#include "text/tokenizer.h"

namespace octavo {
namespace {

using test::kBpe;
using test::kWordLevel;
using test::with;

std::string repeated(const std::string& unit, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += unit;
  return text;
}

std::string nested(const std::string& open, const std::string& close, size_t depth) {
  return repeated(open, depth) + "1" + repeated(close, depth);
}

std::string unigram(const std::string& vocabulary, const std::string& unk = "0") {
  return R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "Unigram", "unk_id": )" +
         unk + R"(, "byte_fallback": false, "vocab": )" + vocabulary + "}}";
}

struct Case {
  const char* name;
  std::string json;
  const char* message;  // part of it
};

std::vector<Case> cases() {
  return {
      {"empty", "", "EOF"},
      {"not json", "hello", "expected value"},
      {"not an object", "[1]", "invalid type"},
      {"no model", "{\"version\": \"1.0\"}", "model"},
      {"cut", kWordLevel.substr(0, kWordLevel.size() / 2), "EOF"},
      {"trailing", kWordLevel + "x", "trailing"},
      {"not utf-8", with(kWordLevel, "three", "thr\xff"), "not UTF-8 at byte"},
      {"lone surrogate", with(kWordLevel, "three", "\\ud800"), "hex escape"},
      {"deep", nested("[", "]", 100000), "invalid type"},
      {"deep objects", nested("{\"model\":", "}", 100000), ""},
      {"deep inside",
       with(kWordLevel, "\"normalizer\": null",
            "\"normalizer\": " + nested(R"({"type": "Sequence", "normalizers": [)", "]}", 2000)),
       "recursion limit"},
      {"deep vocabulary", with(kWordLevel, "\"two\": 4", "\"two\": " + nested("[", "]", 100000)),
       "invalid type"},
      {"other version", with(kWordLevel, "\"1.0\"", "\"9.0\""), "version"},
      {"unknown model", with(kWordLevel, "\"WordLevel\"", "\"Magic\""), ""},
      {"unknown normalizer",
       with(kWordLevel, "\"normalizer\": null", "\"normalizer\": {\"type\": \"Magic\"}"), ""},
      {"id twice", with(kWordLevel, "\"two\": 4", "\"two\": 3"), "id 3 names two tokens"},
      {"token twice", with(kWordLevel, "\"two\": 4", "\"one\": 4"), "appears twice"},
      {"id 2^31", with(kWordLevel, "\"two\": 4", "\"two\": 2147483648"), "below 2^31"},
      {"id 2^32", with(kWordLevel, "\"two\": 4", "\"two\": 4294967296"), "below 2^31"},
      {"id 2^64", with(kWordLevel, "\"two\": 4", "\"two\": 18446744073709551616"), "invalid type"},
      {"negative id", with(kWordLevel, "\"two\": 4", "\"two\": -1"), "-1"},
      {"id is text", with(kWordLevel, "\"two\": 4", "\"two\": \"4\""), "invalid type"},
      {"added id twice", with(kWordLevel, "\"id\": 7", "\"id\": 2"), "names two added tokens"},
      {"added id elsewhere", with(kWordLevel, "\"id\": 7", "\"id\": 9"), "its place"},
      {"added id 2^31", with(kWordLevel, "\"id\": 7", "\"id\": 2147483648"), "below 2^31"},
      {"template token unknown",
       with(kWordLevel, R"("special_tokens": {"[CLS]")", R"("special_tokens": {"[XXX]")"), ""},
      {"merge of an unknown token", with(kBpe, "\"ab ab\"", "\"ab zz\""), "zz"},
      {"merge of one token", with(kBpe, "\"ab ab\"", "\"abab\""), ""},
      {"merge into an unknown token", with(kBpe, "\"ab ab\"", "\"b a\""), "ba"},
      {"bad regex",
       with(
           kWordLevel, R"({"type": "WhitespaceSplit"})",
           R"({"type": "Split", "pattern": {"Regex": "(["}, "behavior": "Isolated", "invert": false})"),
       ""},
      {"deep regex",
       with(kWordLevel, R"({"type": "WhitespaceSplit"})",
            R"({"type": "Split", "pattern": {"Regex": ")" + repeated("(", 100000) +
                R"("}, "behavior": "Isolated", "invert": false})"),
       ""},
      {"unk id past the end", unigram(R"([["a", -1.0]])", "5"), "UnkIdNotInVocabulary"},
      {"empty unigram", unigram("[]"), "EmptyVocabulary"},
      {"absurd token", unigram(R"([["a", -1.0], [")" + repeated("a", 100000) + R"(", -2.0]])"),
       "100000 bytes"},
      {"charsmap of noise",
       with(kWordLevel, "\"normalizer\": null",
            R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA/////w=="})"),
       ""},
  };
}

TEST(HostileFile, IsAnErrorWithTheReason) {
  for (const Case& c : cases()) {
    const auto tokenizer = Tokenizer::parse(c.json, "bad.json");
    ASSERT_FALSE(tokenizer) << c.name;
    const std::string& message = tokenizer.error().message;
    EXPECT_EQ(tokenizer.error().code, Code::invalid_input) << c.name;
    EXPECT_EQ(message.rfind("bad.json: ", 0), 0u) << c.name << ": " << message;
    EXPECT_NE(message.find(c.message), std::string::npos) << c.name << ": " << message;
    EXPECT_LT(message.size(), 2000u) << c.name;
  }
}

TEST(HostileFile, CutAnywhereIsAnError) {
  for (const std::string& json : {kWordLevel, kBpe}) {
    for (size_t size = 0; size + 1 < json.find_last_of('}'); ++size)
      EXPECT_FALSE(Tokenizer::parse(json.substr(0, size), "cut.json")) << size;
  }
}

TEST(HostileFile, TooLargeIsRefusedUnread) {
  const std::string huge((size_t{256} << 20) + 1, ' ');
  const auto tokenizer = Tokenizer::parse(huge, "huge.json");
  ASSERT_FALSE(tokenizer);
  EXPECT_NE(tokenizer.error().message.find("at most 268435456"), std::string::npos);
}

// Every byte of a file changed, one at a time: whatever loads must also encode without a crash.
TEST(HostileFile, ChangedBytesNeverCrash) {
  for (const std::string& json : {kWordLevel, kBpe}) {
    for (size_t at = 0; at < json.size(); ++at) {
      for (const char c : {'0', '9', '"', '}', ',', '-', 'x', '\x80'}) {
        std::string changed = json;
        changed[at] = c;
        const auto tokenizer = Tokenizer::parse(changed, "changed.json");
        if (!tokenizer) continue;
        const auto encoding = tokenizer->encode("one two abab AAAA [SEP] \xf0\x9f\x91\x8d", 4);
        EXPECT_TRUE(!encoding || encoding->ids.size() <= 4);
        static_cast<void>(tokenizer->decode(std::vector<int64_t>{0, 1, 2, 3, 100}));
      }
    }
  }
}

// The regex engine gives up after ten million steps back, and its crate then panics: for us an
// error, and the tokenizer still works afterwards. Nothing is printed.
TEST(HostileFile, APanicIsAnError) {
  const auto tokenizer = Tokenizer::parse(
      with(kWordLevel, R"({"type": "WhitespaceSplit"})",
           R"({"type": "Split", "pattern": {"Regex": "(a|aa)+$"}, "behavior": "Isolated",
               "invert": false})"),
      "slow.json");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  testing::internal::CaptureStderr();
  const auto encoding = tokenizer->encode(std::string(60, 'a') + "b");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(encoding);
  EXPECT_EQ(encoding.error().code, Code::internal);
  EXPECT_NE(encoding.error().message.find("retry-limit"), std::string::npos)
      << encoding.error().message;
  EXPECT_EQ(tokenizer->encode("one")->ids, (std::vector<int64_t>{1, 3, 2}));
}

}  // namespace
}  // namespace octavo
