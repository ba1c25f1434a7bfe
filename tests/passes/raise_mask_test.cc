#include <functional>
#include <limits>

#include "passes/raise_graphs.h"

namespace octavo::raise {
namespace {

constexpr int64_t kLength = Sketch::kLength;

// seen(query, key) as the numbers 0 and `hidden`.
Tensor added(const std::function<bool(int64_t, int64_t)>& seen, float hidden = -1e9F) {
  std::vector<float> values;
  for (int64_t q = 0; q < kLength; ++q) {
    for (int64_t k = 0; k < kLength; ++k) values.push_back(seen(q, k) ? 0 : hidden);
  }
  return Tensor::of<float>({1, 1, kLength, kLength}, values);
}

// What a mask of these numbers lets through.
Result<Sight> read(const Tensor& tensor, bool is_added = true, bool keep = true) {
  Sketch s;
  const Value mask = s.see(s.b.op("Shape", {s.ids}), tensor);
  const View view = s.view();
  return read_masks(view, {{mask.name, is_added, keep}});
}

TEST(RaiseMask, ReadsWhatIsSeen) {
  struct Case {
    const char* name;
    std::function<bool(int64_t, int64_t)> seen;
    bool causal;
    int64_t window;
  };
  const std::vector<Case> cases = {
      {"full", [](int64_t, int64_t) { return true; }, false, 0},
      {"causal", [](int64_t q, int64_t k) { return k <= q; }, true, 0},
      {"window 1", [](int64_t q, int64_t k) { return k == q; }, true, 1},
      {"window 4", [](int64_t q, int64_t k) { return k <= q && k > q - 4; }, true, 4},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    for (const float hidden : {-10000.0F, -3.4e38F, -std::numeric_limits<float>::infinity()}) {
      const auto sight = read(added(c.seen, hidden));
      ASSERT_TRUE(sight) << sight.error().message;
      EXPECT_EQ(sight->causal, c.causal);
      EXPECT_EQ(sight->window, c.window);
    }
    for (const bool keep : {true, false}) {
      std::vector<bool> values;
      for (int64_t i = 0; i < kLength * kLength; ++i)
        values.push_back(c.seen(i / kLength, i % kLength) == keep);
      const auto sight = read(Tensor::of<bool>({kLength, kLength}, values), false, keep);
      ASSERT_TRUE(sight) << sight.error().message;
      EXPECT_EQ(sight->causal, c.causal);
      EXPECT_EQ(sight->window, c.window);
    }
  }
}

TEST(RaiseMask, KeysAloneAndSeveralMasks) {
  Sketch s;
  const auto causal = [](int64_t q, int64_t k) { return k <= q; };
  const auto near = [](int64_t q, int64_t k) { return k > q - 2; };
  const Value keys =
      s.see(s.b.op("Shape", {s.ids}), Tensor::of<float>({1, 1, 1, kLength}, {0, 0, 0, 0, 0, 0}));
  const Value a = s.see(s.b.op("Shape", {s.ids}), added(causal));
  const Value b = s.see(s.b.op("Shape", {s.ids}), added(near));
  const View view = s.view();
  const auto all =
      read_masks(view, {{keys.name, true, true}, {a.name, true, true}, {b.name, true, true}});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_TRUE(all->causal);
  EXPECT_EQ(all->window, 2);
  const auto open = read_masks(view, {{keys.name, true, true}});
  ASSERT_TRUE(open);
  EXPECT_FALSE(open->causal);
}

TEST(RaiseMask, RefusesWhatIsNoMask) {
  const auto holes = [](int64_t q, int64_t k) { return (q + k) % 2 == 0; };
  const auto both_ways = [](int64_t q, int64_t k) { return k > q - 2 && k < q + 2; };
  const std::vector<std::pair<Tensor, std::string>> cases = {
      {added(holes), "neither full nor causal"},
      {added(both_ways), "neither full nor causal"},
      {added(holes, -3), "a bias"},
      {added(holes, std::numeric_limits<float>::quiet_NaN()), "a bias"},
      {Tensor::of<float>({kLength, 2}, std::vector<float>(2 * kLength)), "shape [6, 2]"},
      {Tensor(), "has no values"},
  };
  for (const auto& [tensor, reason] : cases) {
    const auto sight = read(tensor);
    ASSERT_FALSE(sight) << reason;
    EXPECT_EQ(sight.error().code, Code::unsupported);
    EXPECT_NE(sight.error().message.find(reason), std::string::npos) << sight.error().message;
  }
}

// Windows longer than the probe: the four comparisons, each telling what is seen or what is not.
TEST(RaiseMask, ReadsALongWindowFromItsComparison) {
  struct Case {
    const char* op;
    bool key_first;  // key <op> query - 100, else query - key <op> 100
    bool says_seen;  // its value in the probe
    int64_t window;
  };
  const std::vector<Case> cases = {
      {"Greater", true, true, 100},           // seen: key > query - 100
      {"GreaterOrEqual", true, true, 101},    // seen: key >= query - 100
      {"LessOrEqual", true, false, 100},      // hidden: key <= query - 100
      {"Less", true, false, 101},             // hidden: key < query - 100
      {"Less", false, true, 100},             // seen: query - key < 100
      {"LessOrEqual", false, true, 101},      // seen: query - key <= 100
      {"GreaterOrEqual", false, false, 100},  // hidden: query - key >= 100
      {"Greater", false, false, 101},         // hidden: query - key > 100
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.op) + (c.key_first ? " of the key" : " of the distance"));
    Sketch s;
    const Value key = s.b.op("Shape", {s.ids});  // stands for a value by length
    const Value query = s.b.op("Unsqueeze", {key, s.b.ints({1})});
    const Value far = s.b.scalar(int64_t{100});
    const Value compared =
        c.key_first ? s.b.op(c.op, {key, query - far}) : s.b.op(c.op, {query - key, far});
    s.see(compared, Tensor::of<bool>({2}, {c.says_seen, c.says_seen}));
    const Value mask = s.see(s.b.op("Where", {compared, s.b.scalar(0.0F), s.b.scalar(-1e9F)}),
                             added([](int64_t q, int64_t k) { return k <= q; }));
    const View view = s.view();
    const auto sight = read_masks(view, {{mask.name, true, true}});
    ASSERT_TRUE(sight) << sight.error().message;
    EXPECT_TRUE(sight->causal);
    EXPECT_EQ(sight->window, c.window);
  }
}

}  // namespace
}  // namespace octavo::raise
