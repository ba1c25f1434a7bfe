#include "toolkit/plots.h"

#include <algorithm>
#include <cmath>

#include "toolkit/html.h"
#include "toolkit/svg.h"

namespace octavo {

using svg::Axis;
using svg::kLeft;
using svg::kRight;
using svg::kWidth;
using svg::number;

namespace {

constexpr double kSmallest = 1e-6;  // of a report's cosines
constexpr double kEnd = kWidth - kRight;

// Ticks and their labels below a plot.
std::string ticks_below(const Axis& x, double top, double bottom, bool lines) {
  std::string out;
  for (const Axis::Tick& tick : x.ticks()) {
    const double at = x.at(tick.value);
    if (lines) out += svg::line(at, top, at, bottom, "grid");
    out += svg::text(at, bottom + 18, "middle", tick.label, "tick");
  }
  return out;
}

}  // namespace

std::string plot_legend(const std::vector<std::pair<std::string, int>>& names, char kind) {
  std::string out = "<p class=\"legend\">";
  for (const auto& [name, colour] : names)
    out += "<span><i class=\"" + std::string(1, kind) + std::to_string(colour) + "\"></i>" +
           html_escaped(name) + "</span> ";
  return out + "</p>\n";
}

std::string distribution_plot(const std::vector<Series>& series, const std::string& x_label) {
  constexpr double kTop = 12;
  constexpr double kBottom = 232;
  std::vector<double> all;
  for (const Series& s : series) all.insert(all.end(), s.values.begin(), s.values.end());
  const Axis x = Axis::decades(all, kSmallest).between(kLeft, kEnd);
  std::string out = svg::open(kBottom + 44, "Distribution of " + x_label);
  out += ticks_below(x, kTop, kBottom, true);
  for (int q = 0; q <= 4; ++q) {
    const double at = kBottom - (kBottom - kTop) * q / 4;
    out += svg::line(kLeft, at, kEnd, at, "grid") +
           svg::text(kLeft - 8, at + 4, "end", std::to_string(25 * q) + "%", "tick");
  }
  out += svg::axis_names(kTop, kBottom, x_label, "share of texts");
  for (const Series& s : series) {
    std::vector<double> sorted = s.values;
    std::sort(sorted.begin(), sorted.end());
    std::string points = "M" + number(x.at(sorted.front())) + " " + number(kBottom);
    for (size_t i = 0; i < sorted.size(); ++i) {
      const double share = static_cast<double>(i + 1) / static_cast<double>(sorted.size());
      points += "H" + number(x.at(sorted[i])) + "V" + number(kBottom - (kBottom - kTop) * share);
    }
    out += svg::curve(points, s.colour);
  }
  return out + "</svg>\n";
}

std::string size_plot(const std::vector<SizedPoint>& points, const std::string& y_label) {
  constexpr double kTop = 16;
  constexpr double kBottom = 232;
  std::vector<double> errors;
  double most = 0;
  for (const SizedPoint& p : points) {
    most = std::max(most, p.megabytes);
    for (const double e : {p.mean, p.worst})
      if (e > 0) errors.push_back(e);
  }
  const Axis y = Axis::decades(errors, kSmallest).between(kBottom - 14, kTop);
  const Axis x = Axis::linear(0, most * 1.12).between(kLeft, kEnd);
  std::string out = svg::open(kBottom + 44, y_label + " against size") + svg::grid_of(y) +
                    svg::line(kLeft, kBottom, kEnd, kBottom, "grid") +
                    ticks_below(x, kTop, kBottom, false) +
                    svg::axis_names(kTop, kBottom, "MB, model file and sidecar", y_label);
  for (const SizedPoint& p : points) {
    // Two files of nearly one size would hide each other.
    const double at = x.at(p.megabytes) + (p.colour == 1 ? -4 : p.colour == 2 ? 4 : 0);
    const bool exact = p.mean <= 0;
    const double middle = exact ? kBottom : y.at(p.mean);
    const std::string whisker = "whisker s" + std::to_string(p.colour);
    if (!exact)
      out += svg::line(at, y.at(p.worst), at, middle, whisker) +
             svg::line(at - 5, y.at(p.worst), at + 5, y.at(p.worst), whisker);
    out += svg::dot(at, middle, p.colour, p.name);
    // Names stand at the mean: left of the vanilla one, which has nearly the size of the smoothed
    // one, as far as there is room, and of points near the right edge.
    const double width = svg::width_of(p.name) + 10;
    const bool left = at + width > kEnd || (p.colour == 1 && at - width > kLeft);
    const double above = p.colour == 1 && !left ? -14 : -6;
    out +=
        svg::text(left ? at - 8 : at + 8, middle + above, left ? "end" : "start", p.name, "label");
  }
  return out + "</svg>\n";
}

std::string parts_plot(const std::vector<SizeBar>& bars) {
  constexpr double kTop = 6;
  constexpr double kBar = 20;
  constexpr double kStep = 44;
  double most = 0;
  for (const SizeBar& bar : bars) {
    double sum = 0;
    for (const auto& part : bar.parts) sum += part.second;
    most = std::max(most, sum);
  }
  const double bottom = kTop + kStep * static_cast<double>(bars.size());
  const Axis x = Axis::linear(0, most * 1.02).between(0, kEnd);
  std::string out = svg::open(bottom + 40, "Size by part");
  for (const Axis::Tick& tick : x.ticks())
    out += svg::line(x.at(tick.value), kTop, x.at(tick.value), bottom, "grid") +
           svg::text(x.at(tick.value), bottom + 16, tick.value > 0 ? "middle" : "start", tick.label,
                     "tick");
  out += svg::text(kEnd / 2, bottom + 34, "middle", "MB, model file and sidecar", "axis");
  double y = kTop;
  for (const SizeBar& bar : bars) {
    out += svg::text(0, y + 13, "start", bar.name, "label");
    double from = 0;
    for (size_t p = 0; p < bar.parts.size(); ++p) {
      const auto& [name, megabytes] = bar.parts[p];
      const double width = x.at(from + megabytes) - x.at(from);
      const std::string label = fixed_digits(megabytes, 1);
      out += svg::rect(x.at(from), y + 18, width, kBar, "p" + std::to_string(p),
                       name + ": " + label + " MB");
      if (width > svg::width_of(label) + 6)
        out += svg::text(x.at(from) + width / 2, y + 18 + kBar - 6, "middle", label,
                         ("on" + std::to_string(p)).c_str());
      from += megabytes;
    }
    y += kStep;
  }
  return out + "</svg>\n";
}

std::string interval_plot(const std::vector<Interval>& rows, const std::string& x_label) {
  constexpr double kTop = 10;
  constexpr double kLabels = 76;
  double most = 1e-4;
  double height = 0;
  for (const Interval& row : rows) {
    height += 8 + 12 * static_cast<double>(row.parts.size());
    for (const auto& part : row.parts)
      most = std::max({most, std::abs(part.low), std::abs(part.high)});
  }
  const double end = most * 1.05;
  const Axis x = Axis::linear(-end, end).between(kLabels, kEnd);
  const double bottom = kTop + height;
  std::string out = svg::open(bottom + 44, x_label);
  for (const Axis::Tick& tick : x.ticks()) {
    const double at = x.at(tick.value);
    const bool zero = std::abs(tick.value) < end * 1e-6;
    out += svg::line(at, kTop, at, bottom, zero ? "zero" : "grid") +
           svg::text(at, bottom + 18, "middle",
                     zero ? "0" : (tick.value > 0 ? "+" : "") + tick.label, "tick");
  }
  double y = kTop;
  for (const Interval& row : rows) {
    out += svg::text(kLabels - 10, y + 8 + 6 * static_cast<double>(row.parts.size()), "end",
                     row.name, "tick");
    y += 4;
    for (const auto& part : row.parts) {
      y += 12;
      out += svg::line(x.at(part.low), y - 6, x.at(part.high), y - 6,
                       "whisker s" + std::to_string(part.colour)) +
             svg::dot(x.at(part.mean), y - 6, part.colour, row.name);
    }
    y += 4;
  }
  return out + svg::text((kLabels + kEnd) / 2, bottom + 38, "middle", x_label, "axis") + "</svg>\n";
}

}  // namespace octavo
