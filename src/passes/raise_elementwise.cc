// Activations and gates, recognised by their values: the elementwise nodes between a value and the
// one or two it is made of are a function of one or two numbers, which is evaluated at a few points
// and compared with those that have a raised op. So every spelling is known at once: x * 0.5 *
// (1 + erf(x / sqrt 2)), the same with the factors in another order, with x^3 as a Pow or a
// product, Sigmoid or an op of com.microsoft.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

// GELU by tanh takes 9 nodes in its longest spelling, a gate and Casts add a few.
constexpr size_t kMaxNodes = 40;
// GELU by erf and by tanh are up to 5e-4 apart; float32 constants such as 0.7978846 are good
// to 1e-7.
constexpr double kTolerance = 2e-6;

constexpr std::array<std::string_view, 22> kStandard = {
    "Add",     "Sub",       "Mul",  "Div",        "Neg", "Pow",  "Erf",      "Tanh",
    "Sigmoid", "Relu",      "Exp",  "Reciprocal", "Max", "Sqrt", "Identity", "Dropout",
    "Cast",    "HardSwish", "Gelu", "Abs",        "Min", "Swish"};
constexpr std::array<std::string_view, 4> kContrib = {"Gelu", "FastGelu", "QuickGelu", "BiasGelu"};

bool is_elementwise(const Node& node) {
  const auto in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), node.op_type) != list.end();
  };
  if (node.domain.empty()) return in(kStandard);
  // A bias inside is a Linear's.
  return node.domain == "com.microsoft" && in(kContrib) && node.inputs.size() == 1;
}

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}
double silu(double x) { return x / (1 + std::exp(-x)); }

struct Function {
  std::vector<std::string> leaves;  // one or two
  std::vector<const Node*> nodes;   // made before used
};

class Finder {
 public:
  explicit Finder(const View& view) : view_(view) {}

  std::optional<Function> find(const std::string& value) {
    if (!visit(view_.rows(value)) || f_.nodes.empty() || f_.leaves.empty()) return std::nullopt;
    return std::move(f_);
  }
  const std::map<std::string, std::string>& names() const { return names_; }

 private:
  // Below the recursion limit because kMaxNodes bounds the nodes it enters.
  bool visit(const std::string& value) {
    if (seen_.contains(value)) return true;
    if (view_.number(value)) {
      seen_[value] = true;
      return true;
    }
    const Node* node = view_.producer(value);
    const bool inner = node != nullptr && is_elementwise(*node) && !node->inputs.empty() &&
                       node->outputs[0] == value && !is_linear(view_, value);
    if (!inner) return leaf(value);
    if (++entered_ > kMaxNodes) return false;
    const size_t count = node->op_type == "Dropout" ? 1 : node->inputs.size();
    for (size_t i = 0; i < count; ++i) {
      const std::string from = view_.rows(node->inputs[i]);
      names_[node->inputs[i]] = from;
      if (!visit(from)) return false;
    }
    seen_[value] = true;
    f_.nodes.push_back(node);
    return true;
  }
  bool leaf(const std::string& value) {
    if (!view_.is_rows(value) || f_.leaves.size() == 2) return false;
    f_.leaves.push_back(value);
    seen_[value] = true;
    return true;
  }

  const View& view_;
  Function f_;
  std::map<std::string, bool> seen_;
  std::map<std::string, std::string> names_;  // input of a node -> the value it was brought to
  size_t entered_ = 0;
};

double compute(const Node& node, const std::vector<double>& x) {
  const auto& op = node.op_type;
  const double b = x.size() > 1 ? x[1] : 0;
  if (op == "Add") return x[0] + b;
  if (op == "Sub") return x[0] - b;
  if (op == "Mul") return x[0] * b;
  if (op == "Div") return x[0] / b;
  if (op == "Pow") return std::pow(x[0], b);
  if (op == "Neg") return -x[0];
  if (op == "Erf") return std::erf(x[0]);
  if (op == "Tanh") return std::tanh(x[0]);
  if (op == "Sigmoid") return 1 / (1 + std::exp(-x[0]));
  if (op == "Relu") return std::max(x[0], 0.0);
  if (op == "Exp") return std::exp(x[0]);
  if (op == "Reciprocal") return 1 / x[0];
  if (op == "Sqrt") return std::sqrt(x[0]);
  if (op == "Abs") return std::abs(x[0]);
  if (op == "Max") return x.size() == 2 ? std::max(x[0], b) : std::nan("");
  if (op == "Min") return x.size() == 2 ? std::min(x[0], b) : std::nan("");
  if (op == "Swish" || op == "QuickGelu") {
    const double alpha = double{node.float_or("alpha", op == "Swish" ? 1.0F : 1.702F)};
    return x[0] / (1 + std::exp(-alpha * x[0]));
  }
  if (op == "FastGelu") return gelu_tanh(x[0]);
  if (op == "Gelu")
    return node.string_or("approximate", "none") == "tanh" ? gelu_tanh(x[0]) : gelu(x[0]);
  if (op == "Identity" || op == "Dropout" || op == "Cast") return x[0];
  return std::nan("");
}

class Evaluator {
 public:
  Evaluator(const View& view, const Function& f, const std::map<std::string, std::string>& names)
      : view_(view), f_(f), names_(names) {}

  double operator()(double a, double b) const {
    std::map<std::string, double> values;
    values[f_.leaves[0]] = a;
    if (f_.leaves.size() > 1) values[f_.leaves[1]] = b;
    for (const Node* node : f_.nodes) {
      std::vector<double> x;
      for (const auto& in : node->inputs) {
        const auto name = names_.find(in);
        if (name == names_.end()) continue;  // Dropout's ratio
        const auto known = values.find(name->second);
        x.push_back(known != values.end() ? known->second
                                          : view_.number(name->second).value_or(std::nan("")));
      }
      values[node->outputs[0]] = compute(*node, x);
    }
    return values[f_.nodes.back()->outputs[0]];
  }

 private:
  const View& view_;
  const Function& f_;
  const std::map<std::string, std::string>& names_;
};

struct Known {
  std::string_view op;
  std::string_view approximate;  // "" when the op has none
  double (*activation)(double);
};
constexpr std::array<Known, 4> kActivations = {
    {{"Relu", "", [](double x) { return x > 0 ? x : 0; }},
     {raised::kSilu, "", silu},
     {"Gelu", "none", gelu},
     {"Gelu", "tanh", gelu_tanh}}};
constexpr std::array<Known, 3> kGates = {{{raised::kSwiGlu, "", silu},
                                          {raised::kGeGlu, "none", gelu},
                                          {raised::kGeGlu, "tanh", gelu_tanh}}};

bool near(double a, double b) { return std::abs(a - b) <= kTolerance * (1 + std::abs(b)); }

constexpr std::array<double, 9> kPoints = {-6.5, -3, -1.25, -0.4, -0.01, 0.3, 1, 2.5, 7};

template <class F>
bool agrees(const Evaluator& evaluate, F wanted) {
  return std::all_of(kPoints.begin(), kPoints.end(), [&](double a) {
    const double b = 1.7 * std::cos(3 * a);  // any second number
    return near(evaluate(a, b), wanted(a, b));
  });
}

Node node_of(const Known& known, std::vector<std::string> inputs, const std::string& output) {
  Node node = raised_node(known.op, std::move(inputs), output);
  if (known.op == "Relu" || known.op == "Gelu") node.domain.clear();
  if (!known.approximate.empty()) node.attributes["approximate"] = std::string(known.approximate);
  return node;
}

}  // namespace

Match raise_elementwise(Context& c, const std::string& value) {
  Finder finder(c.view);
  const auto f = finder.find(value);
  if (!f) return std::optional<Piece>();
  const Evaluator evaluate(c.view, *f, finder.names());
  Piece piece;
  if (f->leaves.size() == 1) {
    for (const Known& known : kActivations) {
      if (!agrees(evaluate, [&](double a, double) { return known.activation(a); })) continue;
      piece.nodes.push_back(node_of(known, f->leaves, value));
      return std::optional(std::move(piece));
    }
    return unsupported(c.view, value,
                       "computes a function of one value that is not ReLU, SiLU or GELU");
  }
  for (const Known& known : kGates) {
    const auto first = [&](double a, double b) { return known.activation(a) * b; };
    const auto second = [&](double a, double b) { return known.activation(b) * a; };
    if (agrees(evaluate, first)) {
      piece.nodes.push_back(node_of(known, {f->leaves[0], f->leaves[1]}, value));
    } else if (agrees(evaluate, second)) {
      piece.nodes.push_back(node_of(known, {f->leaves[1], f->leaves[0]}, value));
    } else {
      continue;
    }
    return std::optional(std::move(piece));
  }
  if (f->nodes.back()->op_type == "Mul")
    return unsupported(c.view, value,
                       "a product of two computed values that is no gate by SiLU or GELU");
  return std::optional<Piece>();
}

}  // namespace octavo::raise
