#include <algorithm>

#include "runtime/plan.h"

namespace octavo {

namespace {

template <class F>
void each_read(const Step& step, const F& f) {
  for (const int in : step.inputs) {
    if (in >= 0) f(static_cast<size_t>(in));
  }
  for (const int captured : step.captures) f(static_cast<size_t>(captured));
}

}  // namespace

Schedule make_schedule(const Plan& plan, const std::vector<int>& results,
                       const std::vector<int>& seen) {
  const size_t values = plan.names.size();
  Schedule s;
  s.used.assign(values, 0);
  s.kept.assign(values, 0);
  for (const int v : results) s.used[static_cast<size_t>(v)] = s.kept[static_cast<size_t>(v)] = 1;
  for (const int v : seen) s.used[static_cast<size_t>(v)] = 1;

  // Backwards: a step is needed when somebody uses one of its outputs.
  for (size_t n = plan.steps.size(); n-- > 0;) {
    const Step& step = plan.steps[n];
    const bool needed = std::any_of(step.outputs.begin(), step.outputs.end(), [&](int out) {
      return out >= 0 && s.used[static_cast<size_t>(out)] != 0;
    });
    if (!needed) continue;
    s.steps.push_back(n);
    each_read(step, [&](size_t v) { s.used[v] = 1; });
  }
  std::reverse(s.steps.begin(), s.steps.end());

  constexpr size_t kNever = SIZE_MAX;
  std::vector<size_t> last(values, kNever);
  for (size_t at = 0; at < s.steps.size(); ++at) {
    const Step& step = plan.steps[s.steps[at]];
    for (const int out : step.outputs) {
      if (out >= 0) last[static_cast<size_t>(out)] = at;  // dies at birth when nobody reads it
    }
    each_read(step, [&](size_t v) { last[v] = at; });
  }
  s.dying.resize(s.steps.size());
  for (size_t v = 0; v < values; ++v) {
    // Constants die too in this list, which does nothing: no frame holds them.
    if (last[v] != kNever && s.kept[v] == 0) s.dying[last[v]].push_back(static_cast<int>(v));
  }
  return s;
}

}  // namespace octavo
