#include "formats/json.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

TEST(Json, ReadsADocument) {
  const auto j = parse_json(R"({"a":[1,-2,3.5,null,true],"b":{"c":"\u00e4\ud83d\ude00"}})", "x");
  ASSERT_TRUE(j);
  EXPECT_EQ((*j)["a"][1], -2);
  EXPECT_EQ((*j)["b"]["c"], "\xc3\xa4\xf0\x9f\x98\x80");
  EXPECT_EQ(*json_text(*j, -1),
            "{\"a\":[1,-2,3.5,null,true],\"b\":{\"c\":\"\xc3\xa4\xf0\x9f\x98\x80\"}}\n");
}

TEST(Json, RefusesWithTheByteAndTheReason) {
  const struct {
    std::string text;
    std::string says;
  } cases[] = {
      {"", "byte 0: syntax error"},
      {"{\"a\":1", "byte 6: syntax error"},
      {"{\"a\":1}x", "byte 8: syntax error"},
      {R"({"a":1,"b":2,"a":3})", "byte 16: the key \"a\" is there twice"},
      {R"({"o":{"a":1,"a":3}})", "the key \"a\" is there twice"},
      {"\"\xc3(\"", "UTF-8"},
      {"\"\xed\xa0\x80\"", "UTF-8"},
      {R"("\ud800")", "surrogate"},
      {"[NaN]", "syntax error"},
      {"[1e400]", "number overflow"},
      {"\"a\nb\"", "control character"},
      {std::string(100'000, '['), "byte 65: nested deeper than 64"},
      {std::string(65, '[') + std::string(65, ']'), "nested deeper than 64"},
  };
  for (const auto& c : cases) {
    const auto j = parse_json(c.text, "file.json");
    ASSERT_FALSE(j) << c.text.substr(0, 80);
    EXPECT_EQ(j.error().code, Code::invalid_input);
    EXPECT_NE(j.error().message.find("file.json: "), std::string::npos) << j.error().message;
    EXPECT_NE(j.error().message.find(c.says), std::string::npos) << j.error().message;
    EXPECT_LT(j.error().message.size(), 500U);
  }
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']'), "x"));
  EXPECT_FALSE(parse_json("[1,2,3]", "x", 6));
  EXPECT_LT(parse_json("[" + std::string(1 << 20, 'x'), "x").error().message.size(), 500U);
  EXPECT_EQ(read_json("/nonexistent/config.json").error().code, Code::not_found);
}

TEST(Json, FieldsNeverThrow) {
  const auto j = *parse_json(
      R"({"i":7,"n":null,"f":2.0,"g":2.5,"s":"t","b":true,"u":18446744073709551615,"o":{}})", "x");
  EXPECT_EQ(json_int(j, "i", 1), 7);
  EXPECT_EQ(json_int(j, "f", 1), 2);
  EXPECT_EQ(json_int(j, "g", 1), 1);
  EXPECT_EQ(json_int(j, "u", 1), 1);
  EXPECT_EQ(json_int(j, "n", 1), 1);
  EXPECT_EQ(json_int(j, "s", 1), 1);
  EXPECT_EQ(json_int(j, "absent", 1), 1);
  EXPECT_EQ(json_int(j["i"], "i", 1), 1);
  EXPECT_EQ(json_double(j, "i", 0), 7.0);
  EXPECT_EQ(json_double(j, "b", 3), 3.0);
  EXPECT_EQ(json_bool(j, "b", false), true);
  EXPECT_EQ(json_bool(j, "i", false), false);
  EXPECT_EQ(json_string(j, "s", "?"), "t");
  EXPECT_EQ(json_string(j, "o", "?"), "?");
  EXPECT_FALSE(json_text(nlohmann::json("\xff")));
  EXPECT_EQ(quote("a\n\"b"), "\"a\\x0a\"b\"");
}

}  // namespace
}  // namespace octavo
