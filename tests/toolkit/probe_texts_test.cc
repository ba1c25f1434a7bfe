// The wide probe is wide, and calibration has seen none of it.

#include "toolkit/probe_texts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "octavo/verify.h"
#include "toolkit/calibrate.h"

namespace octavo {
namespace {

// Letters and digits only: a text is not another one for its punctuation.
std::string bare(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

TEST(WideProbe, HasManyLanguagesAndCodeShortAndLong) {
  std::map<std::string, size_t> languages;
  std::set<std::string> distinct;
  size_t short_ones = 0;
  size_t long_ones = 0;
  for (const ProbeText& text : wide_probe()) {
    ++languages[text.language];
    distinct.insert(text.text);
    short_ones += text.text.size() < 30 ? 1 : 0;
    long_ones += text.text.size() > 350 ? 1 : 0;
  }
  EXPECT_EQ(distinct.size(), wide_probe().size());
  EXPECT_GE(languages["code"], 15U);
  EXPECT_GE(wide_probe().size() - languages["code"], 240U);
  EXPECT_GE(std::count_if(languages.begin(), languages.end(),
                          [](const auto& l) { return l.first != "code" && l.second >= 8; }),
            24);
  EXPECT_GE(short_ones, 24U);
  EXPECT_GE(long_ones, 24U);
}

TEST(WideProbe, RepeatsNothingOfCalibrationOrTheSmallProbe) {
  std::vector<std::string> known;
  for (const std::string& text : default_calibration_texts()) known.push_back(bare(text));
  for (const std::string& text : default_probe_texts()) known.push_back(bare(text));
  for (const ProbeText& text : wide_probe()) {
    const std::string mine = bare(text.text);
    for (const std::string& other : known) {
      EXPECT_EQ(other.find(mine), std::string::npos) << text.text << "\nis in\n" << other;
      // A calibration text of a word or two may well be a part of a sentence.
      if (other.size() > 20) {
        EXPECT_EQ(mine.find(other), std::string::npos) << text.text;
      }
    }
  }
}

TEST(ProbeTexts, AreChosenByName) {
  EXPECT_EQ(*probe_texts("small"), default_probe_texts());
  const auto wide = probe_texts("wide");
  ASSERT_TRUE(wide);
  ASSERT_EQ(wide->size(), wide_probe().size());
  EXPECT_EQ(wide->back(), wide_probe().back().text);
  const auto none = probe_texts("tall");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "no probe named \"tall\"; there are: small, wide");
}

}  // namespace
}  // namespace octavo
