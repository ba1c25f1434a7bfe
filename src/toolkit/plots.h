#pragma once
// Plots as inline SVG. Colours are CSS classes of the page (s0, s1, ... of series, h0 .. h7 of the
// heat map), so that one drawing serves light, dark and print. Coordinates are rounded to a tenth:
// the same numbers give the same bytes.

#include <string>
#include <utility>
#include <vector>

namespace octavo {

struct Series {
  std::string name;
  int colour = 0;
  std::vector<double> values;
};

// Of each series the share of values that are at most x, over a logarithmic axis; values below
// 1e-6, the resolution of the report, lie on its left end.
std::string distribution_plot(const std::vector<Series>& series, const std::string& x_label);

struct SizedPoint {
  std::string name;
  int colour = 0;
  double megabytes = 0;
  double mean = 0, worst = 0;  // errors; 0: exact, drawn at the lower edge
};
std::string size_plot(const std::vector<SizedPoint>& points, const std::string& y_label);

// One value a site, in the order of the sites, over a logarithmic axis.
std::string site_plot(const std::vector<Series>& series, const std::string& y_label);

struct HeatRow {
  std::string name;            // for the tooltip
  std::string label;           // beside the row, may be empty
  std::vector<double> ratios;  // of each cell to the row's median
};
// Two panels with the same rows, each cell in the colour of the power of two below its ratio.
std::string heat_plot(const std::vector<HeatRow>& before, const std::vector<HeatRow>& after);

struct Interval {
  std::string name;
  struct Part {
    int colour = 0;
    double mean = 0, low = 0, high = 0;
  };
  std::vector<Part> parts;
};
std::string interval_plot(const std::vector<Interval>& rows, const std::string& x_label);

// A line of coloured names.
std::string plot_legend(const std::vector<std::pair<std::string, int>>& names);

}  // namespace octavo
