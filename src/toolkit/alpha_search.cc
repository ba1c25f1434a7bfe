#include "toolkit/alpha_search.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <optional>

namespace octavo {

namespace {

constexpr double kGrid[] = {0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
constexpr double kNear = 0.05;
constexpr double kStep = 0.1;
// One for a step: of 70 tries, real gains are small. Two for what is published: of searches among
// 4,000 losses of nothing but noise one let a fifth pass, and any gain at all a half.
constexpr double kErrorsOfStep = 1;
constexpr double kErrorsOfResult = 2;
// A text with no loss to speak of in all trials decides nothing; four leave two for each side.
constexpr size_t kFewestTexts = 4;

// Multiples of 0.05 as a literal spells them, so that 0.5 + 0.1 is the 0.6 that a user would type.
double rounded(double alpha) { return std::round(alpha * 20) / 20; }

struct Part {
  std::string role;
  std::vector<size_t> sites;
  size_t first = 0, of = 0;  // of the role's sites, counted
};

struct Candidate {
  std::vector<double> alphas;
  std::vector<double> losses;
};

double mean_of(std::span<const double> losses, size_t phase) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = phase; i < losses.size(); i += 2, ++count) sum += losses[i];
  return sum / static_cast<double>(count);
}

// Whether `now` is better than `before` on every second text, from `phase`, by more than so many
// standard errors of the texts' differences.
bool helps(std::span<const double> now, std::span<const double> before, size_t phase,
           double errors) {
  double sum = 0;
  double squares = 0;
  double count = 0;
  for (size_t i = phase; i < now.size(); i += 2, ++count) {
    const double difference = now[i] - before[i];
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / count;
  const double variance = std::max(0.0, squares / count - mean * mean) * count / (count - 1);
  return mean < 0 && -mean > errors * std::sqrt(variance / count);
}

class Search {
 public:
  Search(std::span<const std::string> roles, const AlphaJudge& judge,
         const AlphaSearchOptions& options, const Progress& progress)
      : roles_(roles),
        judge_(judge),
        limit_(std::max(options.evaluations, std::size(kGrid))),
        progress_(progress) {}

  Result<AlphaChoice> run() {
    OCTAVO_CHECK(find_fixed());
    const Candidate fixed = best_;
    OCTAVO_CHECK(refine());
    choice_.loss_fixed = mean_of(fixed.losses, 0);
    choice_.loss = mean_of(best_.losses, 0);
    choice_.confirmed_fixed = mean_of(fixed.losses, 1);
    choice_.confirmed = mean_of(best_.losses, 1);
    choice_.refused =
        best_.alphas != fixed.alphas && !helps(best_.losses, fixed.losses, 1, kErrorsOfResult);
    choice_.alphas = choice_.refused ? fixed.alphas : best_.alphas;
    report(progress_, "search alpha", limit_, limit_);
    return std::move(choice_);
  }

 private:
  bool spent() const { return choice_.trials.size() >= limit_; }

  Result<Candidate> judge(std::vector<double> alphas, std::string what) {
    report(progress_, "search alpha", choice_.trials.size(), limit_);
    OCTAVO_TRY(std::vector<double> losses, judge_(alphas));
    if (losses.size() < kFewestTexts)
      return Error{Code::invalid_input, "a search needs at least " + std::to_string(kFewestTexts) +
                                            " texts kept apart from the statistics, there are " +
                                            std::to_string(losses.size()) +
                                            "; give more calibration texts"};
    if (!best_.losses.empty() && losses.size() != best_.losses.size())
      return Error{Code::internal, "the judge of alphas gave another number of texts"};
    choice_.trials.push_back({std::move(what), mean_of(losses, 0), false});
    return Candidate{std::move(alphas), std::move(losses)};
  }

  // The grid takes the smallest mean, noise or not: one of its points it has to be.
  Status find_fixed() {
    double fixed = 0;
    const auto take = [&](double alpha) -> Status {
      OCTAVO_TRY(Candidate tried,
                 judge(std::vector<double>(roles_.size(), alpha), name("all", alpha)));
      if (best_.losses.empty() || mean_of(tried.losses, 0) < mean_of(best_.losses, 0)) {
        best_ = std::move(tried);
        fixed = alpha;
      }
      return Done{};
    };
    for (const double alpha : kGrid) OCTAVO_CHECK(take(alpha));
    const double center = fixed;
    for (const double near : {center - kNear, center + kNear}) {
      if (!spent()) OCTAVO_CHECK(take(rounded(near)));
    }
    choice_.fixed = fixed;
    for (AlphaTrial& trial : choice_.trials) trial.kept = trial.what == name("all", fixed);
    return Done{};
  }

  Status refine() {
    std::deque<Part> parts = roles();
    while (!parts.empty() && !spent()) {
      const Part part = std::move(parts.front());
      parts.pop_front();
      OCTAVO_TRY(const bool down, walk(part, -kStep));
      if (!down) OCTAVO_CHECK(walk(part, kStep));
      if (part.sites.size() < 2) continue;
      const size_t half = part.sites.size() / 2;
      const auto middle = part.sites.begin() + static_cast<std::ptrdiff_t>(half);
      parts.push_back({part.role, {part.sites.begin(), middle}, part.first, part.of});
      parts.push_back({part.role, {middle, part.sites.end()}, part.first + half, part.of});
    }
    return Done{};
  }

  // Steps in one direction as long as each helps; whether the first did.
  Result<bool> walk(const Part& part, double step) {
    bool moved = false;
    while (!spent()) {
      std::vector<double> alphas = best_.alphas;
      bool changed = false;
      for (const size_t site : part.sites) {
        const double next = std::clamp(rounded(alphas[site] + step), 0.0, 1.0);
        changed |= next != alphas[site];
        alphas[site] = next;
      }
      if (!changed) break;
      const double shown = alphas[part.sites.front()];
      OCTAVO_TRY(Candidate tried, judge(std::move(alphas), name(describe(part), shown)));
      if (!helps(tried.losses, best_.losses, 0, kErrorsOfStep)) break;
      choice_.trials.back().kept = true;
      best_ = std::move(tried);
      moved = true;
    }
    return moved;
  }

  // The sites of each role, roles in the order of their first site. A role of all sites would
  // repeat the grid: it begins with its halves.
  std::deque<Part> roles() const {
    std::deque<Part> parts;
    for (size_t site = 0; site < roles_.size(); ++site) {
      auto at = std::find_if(parts.begin(), parts.end(),
                             [&](const Part& p) { return p.role == roles_[site]; });
      if (at == parts.end()) at = parts.insert(parts.end(), {roles_[site], {}, 0, 0});
      at->sites.push_back(site);
      ++at->of;
    }
    return parts;
  }

  static std::string describe(const Part& part) {
    if (part.sites.size() == part.of) return part.role;
    std::string text = part.role + " " + std::to_string(part.first);
    if (part.sites.size() > 1) text += ".." + std::to_string(part.first + part.sites.size() - 1);
    return text;
  }

  static std::string name(const std::string& what, double alpha) {
    char text[16];
    std::snprintf(text, sizeof text, " %.2f", alpha);
    return what + text;
  }

  std::span<const std::string> roles_;
  const AlphaJudge& judge_;
  size_t limit_;
  const Progress& progress_;
  Candidate best_;
  AlphaChoice choice_;
};

}  // namespace

Result<AlphaChoice> search_alphas(std::span<const std::string> roles, const AlphaJudge& judge,
                                  const AlphaSearchOptions& options, const Progress& progress) {
  if (roles.empty()) return Error{Code::invalid_input, "there is no site to search an alpha for"};
  return Search(roles, judge, options, progress).run();
}

std::string role_of(const std::string& node) {
  std::string out;
  for (const char c : node) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) out += c;
    if (digit && !out.ends_with('#')) out += '#';
  }
  return out;
}

}  // namespace octavo
