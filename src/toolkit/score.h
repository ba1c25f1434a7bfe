#pragma once
// Cosines and their percentiles: the numbers that verify reports.

#include <cstddef>
#include <span>
#include <vector>

namespace octavo {

// The q-th percentile (0..100) as numpy's default method "linear" gives it: the values sorted, the
// point q/100 * (n - 1), linear between its two neighbours. Precondition: n > 0.
double percentile(std::span<const double> values, double q);

struct Score {
  std::vector<double> cosines;  // a text
  double min = 0, p1 = 0, p5 = 0, p50 = 0, mean = 0;
  size_t worst = 0;  // the first text that has the smallest cosine
};

// Of at least one cosine.
Score summarize(std::vector<double> cosines);

// Rows of `width` floats, as many in both. Precondition: at least one row.
Score score(std::span<const float> rows, std::span<const float> reference, size_t width);

}  // namespace octavo
