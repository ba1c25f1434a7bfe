#include "toolkit/html.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

TEST(Html, EscapesWhatActsAndReplacesWhatNoPageHolds) {
  const struct {
    const char *text, *html;
  } cases[] = {
      {"a<b>&\"c\"'d'", "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;"},
      {"&amp;", "&amp;amp;"},
      {"line\nand\ttab", "line\nand\ttab"},
      {"bell\x07 delete\x7f", "bell\xef\xbf\xbd delete\xef\xbf\xbd"},
      {"\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80", "\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80"},
      {"lone \xa9, cut \xe6\xbc", "lone \xef\xbf\xbd, cut \xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (const auto& c : cases) EXPECT_EQ(html_escaped(c.text), c.html);
}

TEST(Html, ShortensByCodePoints) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc\xe2\x80\xa6");
  EXPECT_EQ(shortened("\xe6\xbc\xa2\xe6\xbc\xa2", 1), "\xe6\xbc\xa2\xe2\x80\xa6");
}

TEST(Html, DecimalsThatReadBackTheSame) {
  EXPECT_EQ(decimals_of(0.9, 2), 2);
  EXPECT_EQ(decimals_of(0.9984, 2), 4);
  EXPECT_EQ(decimals_of(-1, 2), 2);
  EXPECT_EQ(decimals_of(0.9999999, 5), 7);
  EXPECT_EQ(decimals_of(1.0 / 3, 2), 16);
}

TEST(Html, AColumnOfNothingIsLeftOut) {
  EXPECT_EQ(
      html_table({"a", "b", "c"}, "lrr", {{"1", "", "3"}, {"", "", "6"}}),
      "<div class=\"scroll\"><table><thead><tr><th>a</th><th class=\"r\">c</th></tr></thead>"
      "<tbody>\n<tr><td>1</td><td class=\"r\">3</td></tr>\n<tr><td></td><td class=\"r\">6</td>"
      "</tr>\n</tbody></table></div>\n");
  EXPECT_NE(html_table({"a"}, "l", {}).find("<th>a</th>"), std::string::npos);
}

TEST(Html, NumbersSayWhereTheyStand) {
  const nlohmann::json document = {{"a", {{"b", {0.123456, 1234567}}}}};
  EXPECT_EQ(html_fixed(document, "/a/b/0", 3), R"(<data data-v="/a/b/0" data-f="3">0.123</data>)");
  EXPECT_EQ(html_scientific(document, "/a/b/0"),
            R"(<data data-v="/a/b/0" data-f="e">1.2e-01</data>)");
  EXPECT_EQ(html_whole(document, "/a/b/1"), R"(<data data-v="/a/b/1" data-f="w">1,234,567</data>)");
}

}  // namespace
}  // namespace octavo
