// Masks, recognised by what they let through in the probe run: [.., length, length] numbers that
// are 0 or hugely negative, or booleans. A sliding window longer than the probe cannot be seen
// there; it is read from the comparison that makes it,
//
//   key > query - 4096    query - key < 4096    Not(key <= query - 4096)    ...

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// BERT's own code adds -10000, the smallest number in use.
constexpr double kHidden = -1000;
// No text has as many tokens.
constexpr int64_t kLongest = int64_t{1} << 40;

class Picture {
 public:
  explicit Picture(int64_t length)
      : length_(length), seen_(static_cast<size_t>(length * length), true) {}

  Status add(const View& view, const Mask& mask);
  bool at(int64_t query, int64_t key) const {
    return seen_[static_cast<size_t>(query * length_ + key)];
  }
  // What the whole is, or nothing.
  std::optional<Sight> sight() const;

 private:
  int64_t length_;
  std::vector<bool> seen_;
};

Status Picture::add(const View& view, const Mask& mask) {
  const Tensor tensor = view.probed(mask.value);
  if (!tensor.defined())
    return unsupported(view, mask.value, "a mask that the probe has no values of");
  Shape shape = tensor.shape();
  while (shape.size() < 2) shape.insert(shape.begin(), 1);
  const int64_t keys = shape.back();
  const int64_t queries = shape[shape.size() - 2];
  if ((keys != 1 && keys != length_) || (queries != 1 && queries != length_))
    return unsupported(view, mask.value, "a mask of shape " + to_string(tensor.shape()));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const double v = element(tensor, static_cast<size_t>(i));
    if (mask.added && v != 0 && !(v <= kHidden))
      return unsupported(
          view, mask.value,
          "adds " + std::to_string(v) +
              " to a score: a bias, where a mask adds 0 or a hugely negative number");
    if (mask.added ? v == 0 : (v != 0) == mask.keep) continue;
    const int64_t key = i % keys;
    const int64_t query = i / keys % queries;
    for (int64_t q = 0; q < length_; ++q) {
      for (int64_t k = 0; k < length_; ++k) {
        if ((queries == 1 || q == query) && (keys == 1 || k == key))
          seen_[static_cast<size_t>(q * length_ + k)] = false;
      }
    }
  }
  return Done{};
}

std::optional<Sight> Picture::sight() const {
  Sight s;
  s.causal = !at(0, length_ - 1);
  const auto last = seen_.end() - length_;
  const int64_t most = std::count(last, seen_.end(), true);
  s.window = s.causal && most < length_ ? most : 0;
  for (int64_t q = 0; q < length_; ++q) {
    for (int64_t k = 0; k < length_; ++k) {
      const bool wanted = !s.causal || (k <= q && (s.window == 0 || k > q - s.window));
      if (wanted != at(q, k)) return std::nullopt;
    }
  }
  return s;
}

constexpr std::array<std::string_view, 4> kComparisons = {"Greater", "GreaterOrEqual", "Less",
                                                          "LessOrEqual"};
constexpr std::array<std::string_view, 2> kSums = {"Add", "Sub"};
constexpr std::array<std::string_view, 9> kSame = {
    "Unsqueeze", "Squeeze", "Reshape", "Cast", "Identity", "Expand", "Transpose", "Neg", "Abs"};

template <size_t kSize>
bool is_one_of(const std::array<std::string_view, kSize>& ops, const std::string& op) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

bool is_comparison(const Node& node) {
  return node.domain.empty() && node.inputs.size() == 2 && is_one_of(kComparisons, node.op_type);
}

class Windows {
 public:
  explicit Windows(const View& view) : view_(view) {}

  // Every window that comparisons above these values make.
  Result<std::set<int64_t>> find(const std::vector<Mask>& masks) {
    std::vector<std::string> open;
    open.reserve(masks.size());
    for (const Mask& mask : masks) open.push_back(mask.value);
    while (!open.empty()) {
      const std::string value = open.back();
      open.pop_back();
      const Node* node = view_.producer(value);
      if (node == nullptr || !seen_.insert(value).second) continue;
      if (is_comparison(*node)) OCTAVO_CHECK(read(*node));
      open.insert(open.end(), node->inputs.begin(), node->inputs.end());
    }
    return std::move(windows_);
  }

 private:
  Status read(const Node& node) {
    std::set<int64_t> numbers;
    for (const auto& in : node.inputs) collect(in, numbers);
    if (numbers.empty()) return Done{};
    const Tensor result = view_.probed(node.outputs[0]);
    if (numbers.size() > 1 || result.dtype() != DType::boolean || result.size() == 0)
      return unsupported(node, "a comparison of a mask that is no sliding window we know");
    const auto values = result.values<bool>();
    // All true: it says what is seen; all false: what is not.
    const bool says_seen = values[0];
    if (std::count(values.begin(), values.end(), says_seen) != result.size())
      return unsupported(node, "a comparison of a mask that is no sliding window we know");
    const bool strict = node.op_type == "Greater" || node.op_type == "Less";
    windows_.insert(*numbers.begin() + (says_seen == strict ? 0 : 1));
    return Done{};
  }

  // Integer constants of at least the probe's length in the sum that a value is.
  void collect(const std::string& value, std::set<int64_t>& numbers) const {
    std::vector<std::string> open = {value};
    std::set<std::string> seen;
    while (!open.empty()) {
      const std::string at = open.back();
      open.pop_back();
      if (!seen.insert(at).second) continue;
      if (view_.depends(at) == 0) {
        const auto list = view_.integers(at);
        if (!list || list->size() != 1) continue;
        const int64_t number = (*list)[0];
        const bool sane = number > -kLongest && number < kLongest;  // others hide nothing
        if (sane && std::abs(number) >= view_.length()) numbers.insert(std::abs(number));
        continue;
      }
      const Node* node = view_.producer(at);
      if (node == nullptr || !node->domain.empty() || node->inputs.empty()) continue;
      if (is_one_of(kSums, node->op_type))
        open.insert(open.end(), node->inputs.begin(), node->inputs.end());
      if (is_one_of(kSame, node->op_type)) open.push_back(node->inputs[0]);
    }
  }

  const View& view_;
  std::set<std::string> seen_;
  std::set<int64_t> windows_;
};

}  // namespace

Result<Sight> read_masks(const View& view, const std::vector<Mask>& masks) {
  if (masks.empty()) return Sight{};
  Picture picture(view.length());
  for (const Mask& mask : masks) OCTAVO_CHECK(picture.add(view, mask));
  auto sight = picture.sight();
  if (!sight)
    return unsupported(view, masks[0].value,
                       "a mask that is neither full nor causal nor a causal window");
  if (sight->window != 0) return *sight;
  OCTAVO_TRY(const auto windows, Windows(view).find(masks));
  if (windows.empty()) return *sight;
  if (!sight->causal || windows.size() > 1)
    return unsupported(view, masks[0].value, "a sliding window that is not causal, or several");
  sight->window = *windows.begin();
  return *sight;
}

}  // namespace octavo::raise
