#pragma once
// The plots of report.html as inline SVG. Colours are CSS classes of the page (s0, s1, ... of
// series, p0, p1, ... of parts, h0 .. h7 of the heat map), so that one drawing serves light, dark
// and print.

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

// A bar a file, its parts from left to right in the order of their colours.
struct SizeBar {
  std::string name;
  std::vector<std::pair<std::string, double>> parts;  // name and megabytes
};
std::string parts_plot(const std::vector<SizeBar>& bars);

// One value a site, in the order of the sites, over a logarithmic axis.
std::string site_plot(const std::vector<Series>& series, const std::string& y_label);

// A stem and a dot each, in their order from left to right.
struct Stem {
  std::string name;  // for the tooltip
  int colour = 0;
  double value = 0;
};
struct StemAxis {
  std::string x_label, y_label;
  // Logarithmic from `floor` up, or linear between the values and 0.
  bool logarithmic = false;
  double floor = 0;
};
std::string stem_plot(const std::vector<Stem>& stems, const StemAxis& axis);

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

// A line of coloured names; kind: the letter of their classes.
std::string plot_legend(const std::vector<std::pair<std::string, int>>& names, char kind = 's');

}  // namespace octavo
