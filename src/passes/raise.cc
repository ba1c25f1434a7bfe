#include "passes/raise.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "graph/functions.h"
#include "graph/inline.h"
#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo {

namespace raise {

Node raised_node(std::string_view op, std::vector<std::string> inputs, const std::string& output) {
  Node node;
  node.name = output;
  node.op_type = std::string(op);
  node.domain = std::string(raised::kDomain);
  node.inputs = std::move(inputs);
  node.outputs = {output};
  return node;
}

std::vector<Operands> both_orders(const Node& node) {
  if (node.inputs.size() < 2) return {};
  return {{node.inputs[0], node.inputs[1]}, {node.inputs[1], node.inputs[0]}};
}

namespace {

// The first pattern that knows a value wins. A norm has factors and sums like an activation, a
// Linear's bias looks like a residual: the strictest come first.
constexpr std::array kPatterns = {
    raise_embed,        raise_norm,   raise_contrib_norm, raise_attention, raise_contrib_attention,
    raise_contrib_gelu, raise_linear, raise_elementwise,  raise_residual};

class Raiser {
 public:
  Raiser(const Model& model, const View& view) : model_(model), view_(view), positions_(view) {}

  Result<Raised> raise(const std::string& output) {
    OCTAVO_CHECK(visit(view_.rows(output)));
    Raised out;
    out.model.opset_imports = {{"", functions::kOpset}, {std::string(raised::kDomain), 1}};
    Graph& graph = out.model.graph;
    graph.name = model_.graph.name;
    graph.nodes = std::move(nodes_);
    graph.initializers = std::move(constants_);
    graph.inputs.push_back({std::string(raised::kInputIds), DType::i64, rows({}), {}});
    for (const PositionValue& p : positions_.values())
      graph.inputs.push_back({p.name, DType::f32, std::vector<Dim>{"length", p.width}, {}});
    finish(graph, output);
    out.positions = positions_.model(model_);
    out.position_values = positions_.values();
    OCTAVO_CHECK(check(out.model).within("the raised graph"));
    OCTAVO_CHECK(check(out.positions).within("the graph of the position values"));
    return out;
  }

 private:
  static std::vector<Dim> rows(std::optional<int64_t> width) {
    std::vector<Dim> dims = {"tokens"};
    if (width) dims.emplace_back(*width);
    return dims;
  }

  // The last node makes the output under its own name, whatever reshapes stood before it.
  void finish(Graph& graph, const std::string& output) {
    const std::string made = view_.rows(output);
    for (Node& node : graph.nodes) {
      std::replace(node.inputs.begin(), node.inputs.end(), made, output);
      std::replace(node.outputs.begin(), node.outputs.end(), made, output);
    }
    graph.outputs.push_back({output, DType::f32, rows(view_.width(output)), {}});
  }

  // Depth first with a stack of its own: a graph is as deep as its file says.
  Status visit(const std::string& start) {
    struct Open {
      std::string value;
      Piece piece;
      std::vector<std::string> needs;
    };
    std::vector<Open> stack;
    const auto open = [&](const std::string& value) -> Status {
      if (!done_.insert(value).second) return Done{};
      OCTAVO_TRY(Piece piece, match(value));
      auto needs = needs_of(piece);
      stack.push_back({value, std::move(piece), std::move(needs)});
      return Done{};
    };
    OCTAVO_CHECK(open(start));
    while (!stack.empty()) {
      Open& top = stack.back();
      if (top.needs.empty()) {
        emit(std::move(top.piece));
        stack.pop_back();
        continue;
      }
      const std::string next = std::move(top.needs.back());
      top.needs.pop_back();
      OCTAVO_CHECK(open(next));
    }
    return Done{};
  }

  Result<Piece> match(const std::string& value) {
    if (view_.producer(value) == nullptr)
      return unsupported(view_, value, "an input or a constant where rows of tokens are expected");
    if (!view_.varies(value)) return unsupported(view_, value, "does not depend on the tokens");
    if (!view_.is_rows(value))
      return unsupported(view_, value,
                         "makes a value of another shape than one row for every token, " +
                             (view_.shape(value) == nullptr ? std::string("unknown")
                                                            : to_string(*view_.shape(value))));
    Context context{view_, positions_};
    for (const auto pattern : kPatterns) {
      OCTAVO_TRY(std::optional<Piece> piece, pattern(context, value));
      if (piece) return *std::move(piece);
    }
    return unsupported(view_, value, "no part of an encoder that is known");
  }

  // What else must be raised, last first.
  std::vector<std::string> needs_of(const Piece& piece) const {
    std::unordered_set<std::string> own;
    for (const auto& i : piece.constants) own.insert(i.name());
    for (const auto& p : positions_.values()) own.insert(p.name);
    own.insert(std::string(raised::kInputIds));
    own.insert("");
    for (const auto& node : piece.nodes) own.insert(node.outputs.begin(), node.outputs.end());
    std::vector<std::string> needs;
    for (const auto& node : piece.nodes) {
      for (const auto& in : node.inputs) {
        if (!own.contains(in)) needs.push_back(in);
      }
    }
    std::reverse(needs.begin(), needs.end());
    return needs;
  }

  void emit(Piece piece) {
    for (auto& node : piece.nodes) nodes_.push_back(std::move(node));
    for (auto& constant : piece.constants) {
      if (names_.insert(constant.name()).second) constants_.push_back(std::move(constant));
    }
  }

  const Model& model_;
  const View& view_;
  Positions positions_;
  std::unordered_set<std::string> done_;
  std::unordered_set<std::string> names_;
  std::vector<Node> nodes_;
  std::vector<Initializer> constants_;
};

Result<std::string> choose_output(const Graph& graph, const std::string& wanted) {
  std::string name = wanted.empty() ? "last_hidden_state" : wanted;
  for (const auto& v : graph.outputs) {
    if (v.name == name) return name;
  }
  if (wanted.empty() && graph.outputs.size() == 1) return graph.outputs[0].name;
  return Error{Code::invalid_input, "the graph has no output \"" + name + "\""};
}

}  // namespace

}  // namespace raise

Result<Raised> raise_encoder(const Model& model, const Probe& probe, const RaiseOptions& options) {
  if (!model.functions.empty()) {
    Model flat = model;
    OCTAVO_CHECK(inline_functions(flat));
    return raise_encoder(flat, probe, options);
  }
  OCTAVO_CHECK(check(model));
  OCTAVO_TRY(const std::string output, raise::choose_output(model.graph, options.output));
  OCTAVO_TRY(const raise::View view, raise::View::make(model, probe, output));
  return raise::Raiser(model, view).raise(output);
}

}  // namespace octavo
