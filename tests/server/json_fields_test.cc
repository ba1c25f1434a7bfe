// Strictness of requests, and that what is written reads back.

#include "server/json_fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "server/json_output.h"

namespace octavo::server {
namespace {

Outcome<std::vector<Input>> inputs(const std::string& value) {
  auto fields = JsonFields::parse("{\"input\":" + value + "}");
  if (!fields) return fields.error();
  return fields->inputs("input");
}

TEST(JsonFields, TakesTheFourFormsOfInput) {
  const auto one = inputs("\"a\"");
  ASSERT_TRUE(one);
  EXPECT_EQ(std::get<std::string>(one->at(0)), "a");
  const auto ids = inputs("[1,2]");
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->size(), 1U);
  EXPECT_EQ(std::get<std::vector<int64_t>>(ids->at(0)), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(inputs("[\"a\",\"b\"]")->size(), 2U);
  EXPECT_EQ(inputs("[[1,2],[3]]")->size(), 2U);
  EXPECT_EQ(inputs("[[1,2],\"b\"]")->size(), 2U);
  EXPECT_EQ(inputs("[]")->size(), 0U);
}

TEST(JsonFields, RefusesEverythingElse) {
  for (const char* value :
       {"null", "7", "true", "{}", "[null]", "[true]", "[{}]", "[[[1]]]", "[1,\"a\"]", "[\"a\",1]",
        "[-1]", "[1.0]", "[2147483648]", "[[1],2]", "[18446744073709551616]", "[1e400]",
        "[\"\\ud800\"]", "[\"\xff\"]", "\"a"}) {
    const auto got = inputs(value);
    ASSERT_FALSE(got) << value;
    EXPECT_EQ(got.error().kind, Kind::malformed) << value;
    EXPECT_FALSE(got.error().message.empty()) << value;
  }
}

TEST(JsonFields, RefusesWhatIsNoObject) {
  for (const char* body : {"", " ", "[]", "null", "1", "{", "{}x", "{\"a\":1,\"a\":1}", "\xef\xbb"})
    EXPECT_FALSE(JsonFields::parse(body)) << body;
  EXPECT_FALSE(JsonFields::parse(std::string(100'000, '[')));
  EXPECT_TRUE(JsonFields::parse("{}"));
}

TEST(JsonFields, NamesAFieldThatNobodyRead) {
  auto fields = JsonFields::parse(R"({"truncate": true, "dimension": 3})");
  ASSERT_TRUE(fields);
  EXPECT_EQ(*fields->boolean("truncate"), true);
  EXPECT_EQ(*fields->whole("dimensions", 10), 0U);
  const auto end = fields->finish();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message, "unknown field \"dimension\"; there are: dimensions, truncate");
  fields->ignore({"dimension"});
  EXPECT_TRUE(fields->finish());
}

TEST(JsonFields, ChecksTypesAndRanges) {
  const auto parse = [] {
    return JsonFields::parse(R"({"s": 1, "b": "x", "zero": 0, "big": 11, "minus": -1, "half": 1.5,
                                 "null": null, "list": ["a", 1]})");
  };
  auto fields = parse();
  EXPECT_FALSE(fields->string("s"));
  EXPECT_FALSE(fields->boolean("b"));
  for (const char* name : {"zero", "big", "minus", "half"})
    EXPECT_FALSE(fields->whole(name, 10)) << name;
  EXPECT_EQ(*fields->string("null"), "");
  EXPECT_EQ(*fields->boolean("null"), std::nullopt);
  EXPECT_EQ(*fields->whole("null", 10), 0U);
  EXPECT_FALSE(fields->strings("list"));
}

TEST(JsonOutput, FloatsReadBackAsTheSameBits) {
  std::vector<float> values = {0.0F,
                               -0.0F,
                               1.0F,
                               0.1F,
                               -1.5e-7F,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::min(),
                               std::numeric_limits<float>::denorm_min()};
  uint32_t bits = 0x3d000001;
  for (int i = 0; i < 20'000; ++i) {
    bits = bits * 1664525U + 1013904223U;
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isfinite(value)) values.push_back(value);
  }
  std::string text;
  append_floats(text, values);
  const auto back = nlohmann::json::parse(text);
  ASSERT_EQ(back.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    // As clients do: a double first.
    const auto narrow = static_cast<float>(back[i].get<double>());
    EXPECT_EQ(std::memcmp(&narrow, &values[i], sizeof narrow), 0) << values[i];
  }
}

TEST(JsonOutput, Base64) {
  const auto base64 = [](std::vector<float> values) {
    std::string out;
    append_base64(out, values);
    return out;
  };
  EXPECT_EQ(base64({}), "\"\"");
  EXPECT_EQ(base64({1.0F}), "\"AACAPw==\"");
  EXPECT_EQ(base64({1.0F, -2.0F}), "\"AACAPwAAAMA=\"");
  EXPECT_EQ(base64({1.0F, -2.0F, 0.5F}), "\"AACAPwAAAMAAAAA/\"");
}

TEST(JsonOutput, StringsAreEscaped) {
  EXPECT_EQ(json_quoted("a\"\n\xff"), "\"a\\\"\\n\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace octavo::server
