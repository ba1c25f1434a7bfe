#pragma once
// What the plots of report.html are drawn with: elements of inline SVG and axes. Colours are CSS
// classes of the page (report_style.h). Coordinates are rounded to a tenth: the same numbers give
// the same bytes.

#include <string>
#include <vector>

namespace octavo::svg {

// Of every plot, in units of the viewBox; the page scales it.
inline constexpr double kWidth = 720;
inline constexpr double kLeft = 62;  // room for the labels of the vertical axis
inline constexpr double kRight = 16;

std::string number(double value);
std::string open(double height, const std::string& label);
std::string line(double x1, double y1, double x2, double y2, const std::string& classes);
std::string text(double x, double y, const char* anchor, const std::string& content,
                 const char* classes = "");
std::string rect(double x, double y, double width, double height, const std::string& classes,
                 const std::string& title = "");
// A point of a series, with a tooltip.
std::string dot(double x, double y, int colour, const std::string& title);
std::string curve(const std::string& points, int colour);
// The names of the axes of a plot whose lower edge is at `bottom`.
std::string axis_names(double top, double bottom, const std::string& x, const std::string& y);
// A series' name in the width of its letters, about: where labels would meet is known before.
double width_of(const std::string& label);

// Where values lie between two edges of a plot, and the ticks there.
class Axis {
 public:
  struct Tick {
    double value;
    std::string label;
  };
  // Whole decades around the values; what is below `floor` lies on it.
  static Axis decades(const std::vector<double>& values, double floor);
  // From low to high, in steps of 1, 2 or 5 times a power of ten.
  static Axis linear(double low, double high);

  Axis& between(double from, double to);
  double at(double value) const;
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  bool logarithmic_ = false;
  double low_ = 0, high_ = 1, floor_ = 0;
  double from_ = 0, to_ = 1;
  std::vector<Tick> ticks_;
};

// Lines and labels of a vertical axis over the whole width.
std::string grid_of(const Axis& y);

}  // namespace octavo::svg
