#include "toolkit/protection.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "toolkit/alpha_search.h"  // role_of

namespace octavo {

namespace {

struct Block {
  std::vector<size_t> sites;
  double products = 0;
  double worth = 0;
};

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double smallest_cosine(std::span<const double> losses) {
  return 1 - *std::max_element(losses.begin(), losses.end());
}

class Choosing {
 public:
  Choosing(std::span<const ProtectionSite> sites, const ProtectionJudge& judge,
           const ProtectionGoal& goal, const Progress& progress)
      : sites_(sites), judge_(judge), goal_(goal), progress_(progress) {
    for (const ProtectionSite& site : sites) all_products_ += site.products;
    choice_.wide.assign(sites.size(), false);
    choice_.worth.assign(sites.size(), 0);
  }

  Result<ProtectionChoice> run() {
    OCTAVO_TRY(choice_.narrow, judge(choice_.wide));
    if (choice_.narrow.empty()) return Error{Code::invalid_input, "there is no text to judge by"};
    OCTAVO_TRY(choice_.all, judge(std::vector<bool>(sites_.size(), true)));
    choice_.chosen = choice_.narrow;
    if (smallest_cosine(choice_.narrow) < goal_.target_cos) {
      OCTAVO_CHECK(measure(choice_.all));
      OCTAVO_TRY(choice_.chosen, take(choice_.narrow));
    }
    choice_.reached = smallest_cosine(choice_.chosen) >= goal_.target_cos;
    for (size_t i = 0; i < sites_.size(); ++i)
      if (choice_.wide[i]) choice_.extra += sites_[i].products / all_products_;
    return std::move(choice_);
  }

 private:
  Result<std::vector<double>> judge(const std::vector<bool>& wide, bool part = false) {
    std::vector<double> numbers(wide.begin(), wide.end());
    return judge_(numbers, part);
  }

  // Neighbours of one role share a measurement where there are more sites than measurements.
  void make_blocks() {
    std::map<std::string, std::vector<size_t>> roles;
    for (size_t i = 0; i < sites_.size(); ++i) roles[role_of(sites_[i].name)].push_back(i);
    const size_t width =
        (sites_.size() + goal_.evaluations - 1) / std::max<size_t>(goal_.evaluations, 1);
    for (const auto& [role, members] : roles) {
      for (size_t i = 0; i < members.size(); i += width) {
        Block& block = blocks_.emplace_back();
        for (size_t j = i; j < std::min(members.size(), i + width); ++j) {
          block.sites.push_back(members[j]);
          block.products += sites_[members[j]].products;
        }
      }
    }
  }

  Status measure(std::span<const double> all) {
    make_blocks();
    std::vector<double> part;
    for (size_t i = 0; i < all.size(); i += kPart) part.push_back(all[i]);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      report(progress_, "protect", i, blocks_.size());
      std::vector<bool> wide(sites_.size(), true);
      for (const size_t site : blocks_[i].sites) wide[site] = false;
      OCTAVO_TRY(const auto losses, judge(wide, true));
      blocks_[i].worth = mean(losses) - mean(part);
      for (const size_t site : blocks_[i].sites) choice_.worth[site] = blocks_[i].worth;
    }
    report(progress_, "protect", blocks_.size(), blocks_.size());
    std::stable_sort(blocks_.begin(), blocks_.end(), [](const Block& a, const Block& b) {
      return a.worth * b.products > b.worth * a.products;
    });
    return Done{};
  }

  std::vector<bool> first(size_t count) const {
    std::vector<bool> wide(sites_.size(), false);
    for (size_t i = 0; i < count; ++i)
      for (const size_t site : blocks_[i].sites) wide[site] = true;
    return wide;
  }

  // The blocks that the budget takes, the best first; a block that is too large for what is left
  // makes room for a smaller one.
  void fit() {
    std::vector<Block> fitting;
    double products = 0;
    for (Block& block : blocks_) {
      // The sum of parts of a whole may pass the whole by a rounding.
      if (products + block.products > goal_.max_extra * all_products_ * (1 + 1e-9)) continue;
      products += block.products;
      fitting.push_back(std::move(block));
    }
    blocks_ = std::move(fitting);
  }

  // The fewest blocks that reach the target, by halving; all that the budget allows when none does.
  Result<std::vector<double>> take(std::vector<double> none) {
    fit();
    const size_t most = blocks_.size();
    if (most == 0) return none;
    std::vector<double> best;
    OCTAVO_TRY(best, judge(first(most)));
    size_t high = most;
    if (smallest_cosine(best) >= goal_.target_cos) {
      size_t low = 0;  // does not reach it
      while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        OCTAVO_TRY(auto tried, judge(first(middle)));
        if (smallest_cosine(tried) >= goal_.target_cos) {
          high = middle;
          best = std::move(tried);
        } else {
          low = middle;
        }
      }
    }
    choice_.wide = first(high);
    return best;
  }

  std::span<const ProtectionSite> sites_;
  const ProtectionJudge& judge_;
  const ProtectionGoal& goal_;
  const Progress& progress_;
  double all_products_ = 0;
  std::vector<Block> blocks_;
  ProtectionChoice choice_;
};

}  // namespace

Result<ProtectionChoice> choose_protection(std::span<const ProtectionSite> sites,
                                           const ProtectionJudge& judge, const ProtectionGoal& goal,
                                           const Progress& progress) {
  if (sites.empty()) return Error{Code::invalid_input, "there is no site to protect"};
  return Choosing(sites, judge, goal, progress).run();
}

}  // namespace octavo
