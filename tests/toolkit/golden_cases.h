#pragma once
// The goldens of tools/make_golden.py and tools/make_foreign.py: per case the inputs of a batch and
// the last_hidden_state expected of it, 0 where attention_mask is.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "formats/weights.h"
#include "runtime/session.h"
#include "tensor/compare.h"

namespace octavo {

using GoldenCase = std::map<std::string, Tensor>;

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(OCTAVO_GOLDEN) / name;
}

inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                                   const std::string& extension) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// "0.left.input_ids" is input_ids of case "0.left".
inline std::map<std::string, GoldenCase> read_cases(const std::filesystem::path& file) {
  std::map<std::string, GoldenCase> cases;
  const auto source = open_safetensors(file);
  EXPECT_TRUE(source) << source.error().message;
  if (!source) return cases;
  for (const auto& entry : (*source)->entries()) {
    const auto dot = entry.name.rfind('.');
    const auto tensor = (*source)->load_as_stored(entry.name);
    EXPECT_TRUE(tensor) << entry.name;
    if (tensor) cases[entry.name.substr(0, dot)][entry.name.substr(dot + 1)] = *tensor;
  }
  return cases;
}

// Of the expected range. Ten times below what import promises: the two GELUs are 1e-4 apart, and
// float32 sums in another order 1e-6.
inline constexpr double kMaxError = 2e-5;

// Real tokens within kMaxError and at cosine 0.99999; padding is finite.
inline void expect_close(const Tensor& got, const GoldenCase& c) {
  const Tensor& expected = c.at("last_hidden_state");
  ASSERT_EQ(got.shape(), expected.shape());
  const auto width = static_cast<size_t>(got.dim(2));
  const auto mask = c.at("attention_mask").values<int64_t>();
  const auto [low, high] =
      std::minmax_element(expected.values<float>().begin(), expected.values<float>().end());
  const double range = static_cast<double>(*high) - static_cast<double>(*low);
  ASSERT_GT(range, 0);
  for (size_t row = 0; row < mask.size(); ++row) {
    const auto mine = got.values<float>().subspan(row * width, width);
    for (const float v : mine) ASSERT_TRUE(std::isfinite(v)) << "row " << row;
    if (mask[row] == 0) continue;
    const auto theirs = expected.values<float>().subspan(row * width, width);
    EXPECT_LE(max_abs_difference(mine, theirs), kMaxError * range) << "row " << row;
    EXPECT_GE(cosine(mine, theirs), 0.99999) << "row " << row;
  }
}

inline void run_cases(Model model, const std::filesystem::path& cases_file) {
  const auto session = Session::create(std::move(model), {.pool = nullptr, .threads = 2});
  ASSERT_TRUE(session) << session.error().message;
  const auto cases = read_cases(cases_file);
  ASSERT_FALSE(cases.empty());
  for (const auto& [name, c] : cases) {
    SCOPED_TRACE("case " + name);
    std::vector<Feed> feeds;
    for (const auto& input : session->graph().inputs)
      feeds.emplace_back(input.name, c.at(input.name));
    const auto out = session->run(feeds);
    ASSERT_TRUE(out) << out.error().message;
    ASSERT_EQ(out->size(), 1U);
    expect_close((*out)[0], c);
  }
}

}  // namespace octavo
