#include <algorithm>
#include <cmath>

#include "toolkit/html.h"
#include "toolkit/plots.h"
#include "toolkit/svg.h"

namespace octavo {

using svg::Axis;
using svg::kLeft;
using svg::kRight;
using svg::kWidth;
using svg::number;

namespace {

constexpr double kSmallest = 1e-6;  // errors below are drawn as this
constexpr double kTop = 12;
constexpr double kBottom = 212;
constexpr double kEnd = kWidth - kRight;

// Places of `count` things side by side, numbered from 1.
struct Places {
  size_t count;
  double at(size_t i) const {
    return kLeft + (kEnd - kLeft) * (static_cast<double>(i) + 0.5) / static_cast<double>(count);
  }
  std::string numbers() const {
    const size_t every = std::max<size_t>(1, (count + 11) / 12);
    std::string out;
    for (size_t i = 0; i < count; i += every)
      out += svg::text(at(i), kBottom + 18, "middle", std::to_string(i + 1), "tick");
    return out;
  }
};

}  // namespace

std::string site_plot(const std::vector<Series>& series, const std::string& y_label) {
  std::vector<double> all;
  size_t count = 1;
  for (const Series& s : series) {
    all.insert(all.end(), s.values.begin(), s.values.end());
    count = std::max(count, s.values.size());
  }
  const Axis y = Axis::decades(all, kSmallest).between(kBottom, kTop);
  const Places x{count};
  std::string out = svg::open(kBottom + 44, y_label) + svg::grid_of(y) + x.numbers() +
                    svg::axis_names(kTop, kBottom, "site, in the order they run", y_label);
  for (const Series& s : series) {
    std::string points;
    std::string dots;
    for (size_t i = 0; i < s.values.size(); ++i) {
      points += (points.empty() ? "M" : "L") + number(x.at(i)) + " " + number(y.at(s.values[i]));
      if (count <= 60)
        dots += svg::dot(x.at(i), y.at(s.values[i]), s.colour,
                         s.name + ", site " + std::to_string(i + 1));
    }
    out += svg::curve(points, s.colour) + dots;
  }
  return out + "</svg>\n";
}

std::string stem_plot(const std::vector<Stem>& stems, const StemAxis& axis) {
  std::vector<double> values;
  for (const Stem& stem : stems) values.push_back(stem.value);
  double most = 0;
  for (const double value : values) most = std::max(most, value);
  const Axis y = (axis.logarithmic ? Axis::decades(values, axis.floor)
                                   : Axis::linear(0, most > 0 ? most * 1.05 : 1))
                     .between(kBottom, kTop);
  const Places x{std::max<size_t>(1, stems.size())};
  std::string out = svg::open(kBottom + 44, axis.y_label) + svg::grid_of(y) + x.numbers() +
                    svg::axis_names(kTop, kBottom, axis.x_label, axis.y_label);
  for (size_t i = 0; i < stems.size(); ++i) {
    const double top = y.at(stems[i].value);
    out += svg::line(x.at(i), kBottom, x.at(i), top, "stem s" + std::to_string(stems[i].colour)) +
           svg::dot(x.at(i), top, stems[i].colour, stems[i].name);
  }
  return out + "</svg>\n";
}

std::string heat_plot(const std::vector<HeatRow>& before, const std::vector<HeatRow>& after) {
  constexpr int kLevels = 8;
  constexpr double kHead = 24;
  constexpr double kGap = 16;
  constexpr double kLabels = 66;
  const double high = before.size() <= 60 ? 8 : before.size() <= 150 ? 4 : 2;
  const double panel = (kEnd - kLabels - kGap) / 2;
  const double bottom = kHead + high * static_cast<double>(before.size());
  std::string out = svg::open(bottom + 44, "Outliers by site and channel, before and after");
  out += svg::text(kLabels + panel / 2, 15, "middle", "before smoothing", "axis") +
         svg::text(kLabels + panel + kGap + panel / 2, 15, "middle", "after", "axis");
  double label_end = 0;
  for (size_t side = 0; side < 2; ++side) {
    const auto& rows = side == 0 ? before : after;
    const double left = kLabels + (panel + kGap) * static_cast<double>(side);
    std::vector<std::string> paths(kLevels);
    std::string covers;
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto& ratios = rows[r].ratios;
      const double top = kHead + high * static_cast<double>(r);
      const double cell = panel / static_cast<double>(std::max<size_t>(1, ratios.size()));
      const auto level = [&](size_t c) {
        return ratios[c] < 1 ? 0 : std::min(kLevels - 1, 1 + std::ilogb(ratios[c]));
      };
      for (size_t c = 0; c < ratios.size();) {
        size_t end = c + 1;
        while (end < ratios.size() && level(end) == level(c)) ++end;
        const double width = cell * static_cast<double>(end - c);
        paths[static_cast<size_t>(level(c))] += "M" + number(left + cell * static_cast<double>(c)) +
                                                " " + number(top) + "h" + number(width) + "v" +
                                                number(high) + "h-" + number(width) + "z";
        c = end;
      }
      covers += svg::rect(left, top, panel, high, "cover", rows[r].name);
      if (side == 0 && !rows[r].label.empty() && top >= label_end) {
        out += svg::text(kLabels - 8, top + 9, "end", rows[r].label, "tick");
        label_end = top + 13;
      }
    }
    for (size_t level = 0; level < paths.size(); ++level)
      if (!paths[level].empty())
        out += "<path class=\"h" + std::to_string(level) + "\" d=\"" + paths[level] + "\"/>\n";
    out += covers;
  }
  // The key.
  const char* names[kLevels] = {"below the median", "1", "2", "4", "8", "16", "32", "64 and more"};
  double x = kLabels;
  for (int level = 0; level < kLevels; ++level) {
    out += svg::rect(x, bottom + 18, 14, 12, "h" + std::to_string(level)) +
           svg::text(x + 19, bottom + 28, "start", names[level], "tick");
    x += level == 0 ? 142 : 50;
  }
  return out + "</svg>\n";
}

}  // namespace octavo
