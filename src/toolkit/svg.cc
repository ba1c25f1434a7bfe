#include "toolkit/svg.h"

#include <algorithm>
#include <cmath>

#include "toolkit/html.h"

namespace octavo::svg {

namespace {

// Of the page's type at 12 units, digits and letters together.
constexpr double kCharacter = 6.6;

std::string power(int exponent) {
  return exponent >= -2 && exponent <= 0 ? fixed_digits(std::pow(10.0, exponent), -exponent)
                                         : "1e" + std::to_string(exponent);
}

std::string decimal(double value, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
  return fixed_digits(std::abs(value) < step / 2 ? 0 : value, digits);
}

}  // namespace

std::string number(double value) {
  std::string out = fixed_digits(value, 1);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string open(double height, const std::string& label) {
  return "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(height) +
         "\" role=\"img\" aria-label=\"" + html_escaped(label) + "\">\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string& classes) {
  return "<line class=\"" + classes + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) +
         "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\"/>\n";
}

std::string text(double x, double y, const char* anchor, const std::string& content,
                 const char* classes) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor +
         "\" class=\"" + classes + "\">" + html_escaped(content) + "</text>\n";
}

std::string rect(double x, double y, double width, double height, const std::string& classes,
                 const std::string& title) {
  const std::string head = "<rect class=\"" + classes + "\" x=\"" + number(x) + "\" y=\"" +
                           number(y) + "\" width=\"" + number(width) + "\" height=\"" +
                           number(height) + "\"";
  return head + (title.empty() ? "/>\n" : "><title>" + html_escaped(title) + "</title></rect>\n");
}

std::string dot(double x, double y, int colour, const std::string& title) {
  return "<circle class=\"dot s" + std::to_string(colour) + "\" cx=\"" + number(x) + "\" cy=\"" +
         number(y) + "\" r=\"3\"><title>" + html_escaped(title) + "</title></circle>\n";
}

std::string curve(const std::string& points, int colour) {
  return "<path class=\"curve s" + std::to_string(colour) + "\" d=\"" + points + "\"/>\n";
}

std::string axis_names(double top, double bottom, const std::string& x, const std::string& y) {
  return text((kLeft + kWidth) / 2, bottom + 38, "middle", x, "axis") +
         "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 " +
         number((top + bottom) / 2) + ") rotate(-90)\">" + html_escaped(y) + "</text>\n";
}

double width_of(const std::string& label) { return kCharacter * static_cast<double>(label.size()); }

Axis Axis::decades(const std::vector<double>& values, double floor) {
  double least = 1;
  double most = floor;
  for (const double value : values) {
    least = std::min(least, std::max(value, floor));
    most = std::max(most, value);
  }
  const int low = static_cast<int>(std::floor(std::log10(least) + 1e-9));
  const int high = std::max(low + 1, static_cast<int>(std::ceil(std::log10(most) - 1e-9)));
  Axis axis;
  axis.logarithmic_ = true;
  axis.low_ = low;
  axis.high_ = high;
  axis.floor_ = floor;
  for (int e = low; e <= high; ++e) axis.ticks_.push_back({std::pow(10.0, e), power(e)});
  return axis;
}

Axis Axis::linear(double low, double high) {
  Axis axis;
  axis.low_ = low;
  axis.high_ = std::max(high, low + 1e-12);
  const double span = axis.high_ - low;
  double step = std::pow(10.0, std::floor(std::log10(span)));
  for (const double part : {1.0, 0.5, 0.2, 0.1})
    if (span / (step * part) >= 4) {
      step *= part;
      break;
    }
  const auto first = static_cast<int>(std::ceil(low / step - 1e-9));
  const auto last = static_cast<int>(std::floor(axis.high_ / step + 1e-9));
  for (int i = first; i <= last; ++i) axis.ticks_.push_back({i * step, decimal(i * step, step)});
  return axis;
}

Axis& Axis::between(double from, double to) {
  from_ = from;
  to_ = to;
  return *this;
}

double Axis::at(double value) const {
  const double v = logarithmic_ ? std::log10(std::max(value, floor_)) : value;
  return from_ + (to_ - from_) * std::clamp((v - low_) / (high_ - low_), 0.0, 1.0);
}

std::string grid_of(const Axis& y) {
  std::string out;
  for (const Axis::Tick& tick : y.ticks())
    out += line(kLeft, y.at(tick.value), kWidth - kRight, y.at(tick.value), "grid") +
           text(kLeft - 8, y.at(tick.value) + 4, "end", tick.label, "tick");
  return out;
}

}  // namespace octavo::svg
