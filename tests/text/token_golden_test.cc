// Token ids against those of the Python package `tokenizers`, on some 2,600 nasty strings
// (tools/make_token_golden.py writes the files and describes them).

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "text/tokenizer.h"

namespace octavo {
namespace {

const std::string kFolder = OCTAVO_GOLDEN "/tokenizer/";

std::string unescape(const std::string& line) {
  std::string raw;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line.compare(i, 2, "\\x") == 0) {
      raw += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
      i += 3;
    } else {
      raw += line[i];
    }
  }
  return raw;
}

std::vector<std::string> lines(const std::string& name) {
  std::ifstream file(kFolder + name, std::ios::binary);
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) all.push_back(line);
  return all;
}

std::string spelled(const std::vector<int64_t>& ids) {
  std::string text;
  for (const int64_t id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

std::string digest(const std::vector<int64_t>& ids) {
  uint32_t hash = 2166136261U;
  for (const int64_t id : ids) {
    for (const char c : std::to_string(id) + " ")
      hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%zu:%08x", ids.size(), hash);
  return text;
}

// Whether the ids are what the golden column says, spelled out or as a digest.
testing::AssertionResult same(const std::vector<int64_t>& ids, const std::string& expected) {
  const bool is_digest = expected.find(':') != std::string::npos;
  if ((is_digest ? digest(ids) : spelled(ids)) == expected) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "expected " << expected << ", got " << spelled(ids);
}

void compare(const Tokenizer& tokenizer, const std::string& name) {
  const auto texts = lines("strings.txt");
  const auto golden = lines(name + ".txt");
  ASSERT_GE(texts.size(), 2000u);
  ASSERT_EQ(texts.size(), golden.size());
  int wrong = 0;
  for (size_t i = 0; i < texts.size() && wrong < 10; ++i) {
    const std::string text = unescape(texts[i]);
    const size_t tab = golden[i].find('\t');
    const std::string whole = golden[i].substr(0, tab);
    const std::string cut = golden[i].substr(tab + 1);
    const auto all = tokenizer.encode(text);
    const auto limited = tokenizer.encode(text, 16);
    ASSERT_TRUE(all && limited) << i;
    const auto first = same(all->ids, whole);
    const auto second = same(limited->ids, cut.empty() ? whole : cut);
    EXPECT_TRUE(first) << name << " line " << i + 1 << ": " << texts[i];
    EXPECT_TRUE(second) << name << " line " << i + 1 << ", cut to 16: " << texts[i];
    EXPECT_EQ(limited->full_length, all->ids.size());
    EXPECT_EQ(limited->truncated(), !cut.empty());
    if (!first || !second) ++wrong;
  }
}

class TokenGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenGolden, SameIdsAsThePythonPackage) {
  const std::string name = GetParam();
  std::string file = kFolder + name + ".json";
  if (name == "minilm") {
    const char* models = std::getenv("OCTAVO_MODELS");
    if (models == nullptr) GTEST_SKIP() << "no real models: OCTAVO_MODELS is not set";
    file = std::string(models) + "/minilm/tokenizer.json";
  }
  const auto tokenizer = Tokenizer::open(file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  compare(*tokenizer, name);
}

INSTANTIATE_TEST_SUITE_P(All, TokenGolden, testing::Values("minilm", "qwen", "llama", "xlmr"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace octavo
