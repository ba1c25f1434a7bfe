#include "toolkit/plots.h"

#include <algorithm>
#include <cmath>

#include "toolkit/html.h"

namespace octavo {

namespace {

constexpr double kWidth = 720;
constexpr double kLeft = 62;
constexpr double kRight = 16;
constexpr double kSmallest = 1e-6;

std::string n(double value) {
  std::string text = fixed_digits(value, 1);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string open_svg(double height, const std::string& label) {
  return "<svg viewBox=\"0 0 " + n(kWidth) + " " + n(height) + "\" role=\"img\" aria-label=\"" +
         html_escaped(label) + "\">\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string& classes) {
  return "<line class=\"" + classes + "\" x1=\"" + n(x1) + "\" y1=\"" + n(y1) + "\" x2=\"" + n(x2) +
         "\" y2=\"" + n(y2) + "\"/>\n";
}

std::string text(double x, double y, const char* anchor, const std::string& content,
                 const char* classes = "") {
  return "<text x=\"" + n(x) + "\" y=\"" + n(y) + "\" text-anchor=\"" + anchor + "\" class=\"" +
         classes + "\">" + html_escaped(content) + "</text>\n";
}

std::string dot(double x, double y, int colour, const std::string& title) {
  return "<circle class=\"dot s" + std::to_string(colour) + "\" cx=\"" + n(x) + "\" cy=\"" + n(y) +
         "\" r=\"3\"><title>" + html_escaped(title) + "</title></circle>\n";
}

std::string turned(double y, const std::string& label) {
  return "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 " + n(y) +
         ") rotate(-90)\">" + html_escaped(label) + "</text>\n";
}

std::string power(int exponent) {
  return exponent >= -2 && exponent <= 0 ? fixed_digits(std::pow(10.0, exponent), -exponent)
                                         : "1e" + std::to_string(exponent);
}

// Whole decades around some values.
struct LogScale {
  int low = -6, high = 0;
  double from = 0, to = 1;  // where they lie in the picture

  void fit(const std::vector<double>& values) {
    double least = 1;
    double most = kSmallest;
    for (const double value : values) {
      least = std::min(least, std::max(value, kSmallest));
      most = std::max(most, value);
    }
    low = static_cast<int>(std::floor(std::log10(least) + 1e-9));
    high = std::max(low + 1, static_cast<int>(std::ceil(std::log10(most) - 1e-9)));
  }
  double at(double value) const {
    const double t = (std::log10(std::max(value, kSmallest)) - low) / (high - low);
    return from + (to - from) * std::clamp(t, 0.0, 1.0);
  }
};

std::string path(const std::string& points, int colour) {
  return "<path class=\"curve s" + std::to_string(colour) + "\" d=\"" + points + "\"/>\n";
}

}  // namespace

std::string plot_legend(const std::vector<std::pair<std::string, int>>& names) {
  std::string out = "<p class=\"legend\">";
  for (const auto& [name, colour] : names)
    out +=
        "<span><i class=\"s" + std::to_string(colour) + "\"></i>" + html_escaped(name) + "</span> ";
  return out + "</p>\n";
}

std::string distribution_plot(const std::vector<Series>& series, const std::string& x_label) {
  constexpr double kTop = 12;
  constexpr double kBottom = 232;
  LogScale x;
  std::vector<double> all;
  for (const Series& s : series) all.insert(all.end(), s.values.begin(), s.values.end());
  x.fit(all);
  x.from = kLeft;
  x.to = kWidth - kRight;
  std::string out = open_svg(kBottom + 44, "Distribution of " + x_label);
  for (int e = x.low; e <= x.high; ++e) {
    const double at = x.at(std::pow(10.0, e));
    out += line(at, kTop, at, kBottom, "grid") + text(at, kBottom + 18, "middle", power(e), "tick");
  }
  for (int q = 0; q <= 4; ++q) {
    const double at = kBottom - (kBottom - kTop) * q / 4;
    out += line(kLeft, at, kWidth - kRight, at, "grid") +
           text(kLeft - 8, at + 4, "end", std::to_string(25 * q) + "%", "tick");
  }
  out += text((kLeft + kWidth) / 2, kBottom + 38, "middle", x_label, "axis") +
         turned((kTop + kBottom) / 2, "share of texts");
  for (const Series& s : series) {
    std::vector<double> sorted = s.values;
    std::sort(sorted.begin(), sorted.end());
    std::string points = "M" + n(x.at(sorted.front())) + " " + n(kBottom);
    for (size_t i = 0; i < sorted.size(); ++i) {
      const double share = static_cast<double>(i + 1) / static_cast<double>(sorted.size());
      points += "H" + n(x.at(sorted[i])) + "V" + n(kBottom - (kBottom - kTop) * share);
    }
    out += path(points, s.colour);
  }
  return out + "</svg>\n";
}

std::string size_plot(const std::vector<SizedPoint>& points, const std::string& y_label) {
  constexpr double kTop = 16;
  constexpr double kBottom = 232;
  LogScale y;
  std::vector<double> errors;
  double most = 0;
  for (const SizedPoint& p : points) {
    most = std::max(most, p.megabytes);
    for (const double e : {p.mean, p.worst})
      if (e > 0) errors.push_back(e);
  }
  y.fit(errors);
  y.from = kBottom - 14;
  y.to = kTop;
  // Steps of 1, 2 or 5 with some powers of ten, five of them at most.
  double step = std::pow(10.0, std::floor(std::log10(std::max(most, 1e-3))));
  while (most / step > 5) step *= 2;
  while (most / step < 2) step /= 2;
  const double end = most * 1.12;
  const auto x = [&](double mb) { return kLeft + (kWidth - kRight - kLeft) * mb / end; };
  std::string out = open_svg(kBottom + 44, y_label + " against size");
  for (int e = y.low; e <= y.high; ++e) {
    const double at = y.at(std::pow(10.0, e));
    out += line(kLeft, at, kWidth - kRight, at, "grid") +
           text(kLeft - 8, at + 4, "end", power(e), "tick");
  }
  out += line(kLeft, kBottom, kWidth - kRight, kBottom, "grid");
  for (double mb = 0; mb <= end; mb += step)
    out += text(x(mb), kBottom + 18, "middle", step < 1 ? fixed_digits(mb, 2) : n(mb), "tick");
  out += text((kLeft + kWidth) / 2, kBottom + 38, "middle", "MB, model file and sidecar", "axis") +
         turned((kTop + kBottom) / 2, y_label);
  for (const SizedPoint& p : points) {
    // Two files of nearly one size would hide each other.
    const double at = x(p.megabytes) + (p.colour == 1 ? -4 : p.colour == 2 ? 4 : 0);
    const bool exact = p.mean <= 0;
    const double middle = exact ? kBottom : y.at(p.mean);
    if (!exact)
      out += line(at, y.at(p.worst), at, middle, "whisker s" + std::to_string(p.colour)) +
             line(at - 5, y.at(p.worst), at + 5, y.at(p.worst),
                  "whisker s" + std::to_string(p.colour));
    out += dot(at, middle, p.colour, p.name);
    // Names stand at the mean, to the left of points near the right edge and of the vanilla one,
    // which has nearly the size of the smoothed one.
    const bool left = at > kWidth - 170 || p.colour == 1;
    out += text(left ? at - 8 : at + 8, middle - 6, left ? "end" : "start", p.name, "label");
  }
  return out + "</svg>\n";
}

std::string site_plot(const std::vector<Series>& series, const std::string& y_label) {
  constexpr double kTop = 12;
  constexpr double kBottom = 212;
  LogScale y;
  std::vector<double> all;
  size_t count = 1;
  for (const Series& s : series) {
    all.insert(all.end(), s.values.begin(), s.values.end());
    count = std::max(count, s.values.size());
  }
  y.fit(all);
  y.from = kBottom;
  y.to = kTop;
  const double step = (kWidth - kRight - kLeft) / static_cast<double>(count);
  std::string out = open_svg(kBottom + 44, y_label);
  for (int e = y.low; e <= y.high; ++e) {
    const double at = y.at(std::pow(10.0, e));
    out += line(kLeft, at, kWidth - kRight, at, "grid") +
           text(kLeft - 8, at + 4, "end", power(e), "tick");
  }
  const size_t every = std::max<size_t>(1, (count + 11) / 12);
  for (size_t i = 0; i < count; i += every)
    out += text(kLeft + step * (static_cast<double>(i) + 0.5), kBottom + 18, "middle",
                std::to_string(i + 1), "tick");
  out += text((kLeft + kWidth) / 2, kBottom + 38, "middle", "site, in the order they run", "axis") +
         turned((kTop + kBottom) / 2, y_label);
  for (const Series& s : series) {
    std::string points;
    std::string dots;
    for (size_t i = 0; i < s.values.size(); ++i) {
      const double at = kLeft + step * (static_cast<double>(i) + 0.5);
      points += (points.empty() ? "M" : "L") + n(at) + " " + n(y.at(s.values[i]));
      if (count <= 60)
        dots += dot(at, y.at(s.values[i]), s.colour, s.name + ", site " + std::to_string(i + 1));
    }
    out += path(points, s.colour) + dots;
  }
  return out + "</svg>\n";
}

std::string heat_plot(const std::vector<HeatRow>& before, const std::vector<HeatRow>& after) {
  constexpr int kLevels = 8;
  constexpr double kTop = 24;
  constexpr double kGap = 16;
  constexpr double kLabels = 66;
  const double high = before.size() <= 60 ? 8 : before.size() <= 150 ? 4 : 2;
  const double panel = (kWidth - kLabels - kRight - kGap) / 2;
  const double bottom = kTop + high * static_cast<double>(before.size());
  std::string out = open_svg(bottom + 44, "Outliers by site and channel, before and after");
  out += text(kLabels + panel / 2, 15, "middle", "before", "axis") +
         text(kLabels + panel + kGap + panel / 2, 15, "middle", "after", "axis");
  double label_end = 0;
  for (size_t side = 0; side < 2; ++side) {
    const auto& rows = side == 0 ? before : after;
    const double left = kLabels + (panel + kGap) * static_cast<double>(side);
    std::vector<std::string> paths(kLevels);
    std::string covers;
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto& ratios = rows[r].ratios;
      const double top = kTop + high * static_cast<double>(r);
      const double cell = panel / static_cast<double>(std::max<size_t>(1, ratios.size()));
      const auto level = [&](size_t c) {
        return ratios[c] < 1 ? 0 : std::min(kLevels - 1, 1 + std::ilogb(ratios[c]));
      };
      for (size_t c = 0; c < ratios.size();) {
        size_t end = c + 1;
        while (end < ratios.size() && level(end) == level(c)) ++end;
        const double width = cell * static_cast<double>(end - c);
        paths[static_cast<size_t>(level(c))] += "M" + n(left + cell * static_cast<double>(c)) +
                                                " " + n(top) + "h" + n(width) + "v" + n(high) +
                                                "h-" + n(width) + "z";
        c = end;
      }
      covers += "<rect class=\"cover\" x=\"" + n(left) + "\" y=\"" + n(top) + "\" width=\"" +
                n(panel) + "\" height=\"" + n(high) + "\"><title>" + html_escaped(rows[r].name) +
                "</title></rect>\n";
      if (side == 0 && !rows[r].label.empty() && top >= label_end) {
        out += text(kLabels - 8, top + 9, "end", rows[r].label, "tick");
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
    out += "<rect class=\"h" + std::to_string(level) + "\" x=\"" + n(x) + "\" y=\"" +
           n(bottom + 18) + "\" width=\"14\" height=\"12\"/>\n" +
           text(x + 19, bottom + 28, "start", names[level], "tick");
    x += level == 0 ? 142 : 50;
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
  double step = std::pow(10.0, std::floor(std::log10(most)));
  while (most / step < 2) step /= 2;
  const double end = most * 1.05;
  const double middle = (kLabels + kWidth - kRight) / 2;
  const auto x = [&](double value) {
    return middle + (kWidth - kRight - kLabels) / 2 * value / end;
  };
  const double bottom = kTop + height;
  std::string out = open_svg(bottom + 44, x_label);
  const int ticks = static_cast<int>(std::floor(end / step));
  for (int t = -ticks; t <= ticks; ++t) {
    out += line(x(t * step), kTop, x(t * step), bottom, t == 0 ? "zero" : "grid");
    const std::string number = fixed_digits(t * step, step < 0.01 ? 3 : 2);
    out += text(x(t * step), bottom + 18, "middle",
                t > 0    ? "+" + number
                : t == 0 ? "0"
                         : number,
                "tick");
  }
  double y = kTop;
  for (const Interval& row : rows) {
    out += text(kLabels - 10, y + 8 + 6 * static_cast<double>(row.parts.size()), "end", row.name,
                "tick");
    y += 4;
    for (const auto& part : row.parts) {
      y += 12;
      out +=
          line(x(part.low), y - 6, x(part.high), y - 6, "whisker s" + std::to_string(part.colour)) +
          dot(x(part.mean), y - 6, part.colour, row.name);
    }
    y += 4;
  }
  return out + text(middle, bottom + 38, "middle", x_label, "axis") + "</svg>\n";
}

}  // namespace octavo
