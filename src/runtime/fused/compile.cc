#include "runtime/fused/compile.h"

#include <algorithm>
#include <optional>

#include "graph/raised_ops.h"
#include "runtime/fused/pack.h"

namespace octavo::fused {

namespace {

// Walks a raised graph from the ids to the output, one layer after the other:
//   x = Embed (norm)
//   a = x or norm(x); x = x + Linear(FusedAttention(Linear a, Linear a, Linear a)); x = norm(x)?
//   m = x or norm(x); x = x + Linear(act(Linear m) [* Linear m]);                   x = norm(x)?
//   x = Linear(x)?; norm(x)?
class Compiler {
 public:
  Compiler(const Model& model, const std::map<std::string, Tensor>& positions)
      : graph_(model.graph), index_(model.graph), positions_(positions) {}

  Result<Compiled> compile() && {
    OCTAVO_CHECK(embed());
    while (!is_output(x_)) {
      if (!out_.spec.layers.empty()) OCTAVO_CHECK(final_linear());
      if (is_output(x_)) break;
      // A norm that ends the graph is no part of a layer.
      if (const Node* n = sole_norm(x_); n != nullptr && is_output(n->outputs[0])) {
        OCTAVO_CHECK(norm(*n, "final", out_.spec.hidden, out_.spec.final_norm));
        break;
      }
      LayerSpec layer;
      const std::string name = "layers." + std::to_string(out_.spec.layers.size());
      OCTAVO_CHECK(attention(layer, name));
      OCTAVO_CHECK(feed_forward(layer, name));
      out_.spec.layers.push_back(std::move(layer));
    }
    if (out_.spec.layers.empty())
      return Error{Code::unsupported, "the graph has no attention layers"};
    return std::move(out_);
  }

 private:
  static Error stop(const Node& node, const std::string& why) {
    return {Code::unsupported, node.describe() + ": " + why};
  }
  Error stop_at(const std::string& value, const std::string& why) const {
    const auto& uses = index_.uses(value);
    if (uses.empty()) return {Code::unsupported, "value \"" + value + "\": " + why};
    return stop(graph_.nodes[uses[0].node], why);
  }

  bool is_output(const std::string& value) const {
    return graph_.outputs.size() == 1 && graph_.outputs[0].name == value;
  }
  const Initializer* constant(const Node& node, size_t input) const {
    if (input >= node.inputs.size() || node.inputs[input].empty()) return nullptr;
    const size_t i = index_.initializer(node.inputs[input]);
    return i == GraphIndex::kNone ? nullptr : &graph_.initializers[i];
  }
  static std::string input(const Node& node, size_t i) {
    return i < node.inputs.size() ? node.inputs[i] : std::string();
  }
  const Node* maker(const std::string& value) const {
    const size_t i = index_.producer(value);
    return i == GraphIndex::kNone ? nullptr : &graph_.nodes[i];
  }
  static bool is_norm(const Node& n) {
    return n.op_type == raised::kRmsNorm || n.op_type == "LayerNormalization";
  }
  std::vector<const Node*> users(const std::string& value) const {
    std::vector<const Node*> out;
    for (const auto& use : index_.uses(value)) {
      const Node* n = &graph_.nodes[use.node];
      if (std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
    }
    return out;
  }
  // The norm that is the only reader of a value.
  const Node* sole_norm(const std::string& value) const {
    const auto all = users(value);
    return all.size() == 1 && is_norm(*all[0]) && all[0]->inputs[0] == value ? all[0] : nullptr;
  }

  void floats(const std::string& name, const Initializer& from, size_t n) {
    const Initializer* source = &from;
    out_.tensors.push_back(
        {name, DType::f32, {static_cast<int64_t>(n)}, [source, n]() -> Result<Tensor> {
           OCTAVO_TRY(const std::vector<float> values, read_floats(*source, n));
           return Tensor::of<float>({static_cast<int64_t>(n)}, values);
         }});
  }

  Status norm(const Node& node, const std::string& name, size_t width, NormSpec& spec) {
    const Initializer* gain = constant(node, 1);
    const Initializer* bias = constant(node, 2);
    if (gain == nullptr) return stop(node, "its gain is no constant");
    spec.name = name;
    spec.kind = node.op_type == raised::kRmsNorm ? NormKind::rms : NormKind::layer;
    spec.epsilon = node.float_or("epsilon", 1e-5F);
    floats(name + ".gain", *gain, width);
    if (spec.kind == NormKind::layer) {
      if (bias != nullptr) {
        floats(name + ".bias", *bias, width);
      } else {
        out_.tensors.push_back({name + ".bias", DType::f32, {static_cast<int64_t>(width)}, [width] {
                                  return Tensor::make(DType::f32, {static_cast<int64_t>(width)});
                                }});
      }
    }
    return Done{};
  }

  // A tensor of rows by position.
  Status position_rows(const Node& node, const std::string& value, const std::string& name,
                       size_t width) {
    const auto found = positions_.find(value);
    if (found == positions_.end() || found->second.rank() != 2 ||
        found->second.dim(1) != static_cast<int64_t>(width))
      return stop(node, "value \"" + value + "\" is not a row a position");
    const auto rows = static_cast<size_t>(found->second.dim(0));
    out_.spec.positions = out_.spec.positions == 0 ? rows : std::min(out_.spec.positions, rows);
    if (rows != out_.spec.positions) return stop(node, "positions of different lengths");
    const bool had = std::any_of(out_.tensors.begin(), out_.tensors.end(),
                                 [&](const PackedTensor& t) { return t.name == name; });
    if (!had)
      out_.tensors.push_back({name, DType::f32, found->second.shape(),
                              [tensor = found->second]() -> Result<Tensor> { return tensor; }});
    return Done{};
  }

  Status embed() {
    const auto first = users(std::string(raised::kInputIds));
    if (first.size() != 1 || first[0]->op_type != raised::kEmbed)
      return Error{Code::unsupported, "input_ids goes somewhere else than into an embedding table"};
    const Node& node = *first[0];
    const Initializer* table = constant(node, 1);
    if (table == nullptr || table->shape().size() != 2) return stop(node, "its table is no matrix");
    const Initializer* scale = constant(node, 4);
    if ((scale != nullptr) != (table->dtype() == DType::i8))
      return stop(node, "an embedding table of " + std::string(dtype_name(table->dtype())) +
                            (scale == nullptr ? " without scales" : " with scales"));
    out_.table = table->name();
    out_.spec.vocabulary = static_cast<size_t>(table->shape()[0]);
    out_.spec.hidden = static_cast<size_t>(table->shape()[1]);
    if (scale != nullptr) {
      out_.spec.table_scales = true;
      out_.tensors.push_back({"embed.scale",
                              DType::f32,
                              {static_cast<int64_t>(table_scales(out_.spec.vocabulary))},
                              [scale, rows = out_.spec.vocabulary]() -> Result<Tensor> {
                                OCTAVO_TRY(std::vector<float> values, read_floats(*scale, rows));
                                values.resize(table_scales(rows));
                                return Tensor::of<float>({static_cast<int64_t>(values.size())},
                                                         values);
                              }});
    }
    if (const Initializer* row = constant(node, 2)) {
      out_.spec.token_type_row = true;
      floats("embed.token_type", *row, out_.spec.hidden);
    }
    if (!input(node, 3).empty()) {
      out_.spec.position_table = true;
      OCTAVO_CHECK(position_rows(node, node.inputs[3], "embed.position", out_.spec.hidden));
    }
    x_ = node.outputs[0];
    if (const Node* n = sole_norm(x_); n != nullptr && !is_output(n->outputs[0])) {
      OCTAVO_CHECK(norm(*n, "embed", out_.spec.hidden, out_.spec.embedding_norm));
      x_ = n->outputs[0];
    }
    return Done{};
  }

  Result<LinearSource> linear_source(const std::string& value) const {
    const Node* node = maker(value);
    if (node == nullptr || node->op_type != raised::kLinear)
      return stop_at(value, "an input of it is not the output of a linear layer");
    LinearSource s;
    s.node = node;
    s.weight = constant(*node, 1);
    s.bias = constant(*node, 2);
    s.scale = constant(*node, 3);
    s.zero_point = constant(*node, 4);
    s.factor = constant(*node, 5);
    if (s.weight == nullptr) return stop(*node, "its weight is no constant");
    OCTAVO_CHECK(describe_linear(s));
    return s;
  }

  static bool same_input(const LinearSource& a, const LinearSource& b) {
    return a.node->inputs[0] == b.node->inputs[0] && a.factor == b.factor && a.kind == b.kind &&
           a.scales == b.scales && a.k == b.k;
  }

  // x, or the norm of x, that linears read.
  Status before(const LinearSource& s, const std::string& name, NormSpec& spec) {
    const std::string& from = s.node->inputs[0];
    if (from == x_) return Done{};
    const Node* n = maker(from);
    if (n == nullptr || !is_norm(*n) || n->inputs[0] != x_)
      return stop(*s.node, "it reads neither the residual stream nor its norm");
    return norm(*n, name, out_.spec.hidden, spec);
  }

  // The sum of x and `value`, and a norm after it when that takes the residual stream over.
  Status residual(const std::string& value, const std::string& name, NormSpec& spec) {
    const auto all = users(value);
    if (all.size() != 1 || all[0]->op_type != "Add" || all[0]->inputs.size() != 2 ||
        (all[0]->inputs[0] != x_ && all[0]->inputs[1] != x_))
      return stop_at(value, "it is not the sum with the residual stream");
    x_ = all[0]->outputs[0];
    const Node* n = sole_norm(x_);
    // The last norm of a pre-norm model ends the graph and stays for compile(); that of a post-norm
    // model does, too, and means the same there.
    if (n == nullptr || is_output(n->outputs[0])) return Done{};
    OCTAVO_CHECK(norm(*n, name, out_.spec.hidden, spec));
    x_ = n->outputs[0];
    return Done{};
  }

  // The node of that kind which reads a linear of x or of a norm of x; null when there is none.
  template <class Predicate>
  const Node* behind_linear(Predicate wanted) const {
    const Node* found = nullptr;
    for (const Node* user : users(x_)) {
      const std::vector<const Node*> next =
          is_norm(*user) ? users(user->outputs[0]) : std::vector<const Node*>{user};
      for (const Node* linear : next) {
        if (linear->op_type != raised::kLinear) continue;
        for (const Node* n : users(linear->outputs[0]))
          if (wanted(*n)) found = n;
      }
    }
    return found;
  }

  // A linear that is the only reader of x and ends the graph, with or without a norm.
  Status final_linear() {
    const auto all = users(x_);
    if (all.size() != 1 || all[0]->op_type != raised::kLinear) return Done{};
    const std::string& y = all[0]->outputs[0];
    const Node* n = sole_norm(y);
    if (!is_output(y) && (n == nullptr || !is_output(n->outputs[0]))) return Done{};
    OCTAVO_TRY(const LinearSource s, linear_source(y));
    if (s.k != out_.spec.hidden || s.n != out_.spec.hidden) return Done{};
    out_.spec.final_linear.push_back(pack_linear("final", {s}, false, out_.tensors));
    x_ = y;
    return Done{};
  }

  Status attention(LayerSpec& l, const std::string& name) {
    const Node* fused =
        behind_linear([](const Node& n) { return n.op_type == raised::kFusedAttention; });
    if (fused == nullptr) return stop_at(x_, "no attention reads this value");
    const Node& a = *fused;
    std::vector<LinearSource> qkv;
    for (size_t i = 0; i < 3; ++i) {
      OCTAVO_TRY(LinearSource s, linear_source(input(a, i)));
      qkv.push_back(s);
    }
    l.heads = static_cast<size_t>(a.int_or("heads", 0));
    l.kv_heads = static_cast<size_t>(a.int_or("kv_heads", 0));
    l.head_dim = static_cast<size_t>(a.int_or("head_dim", 0));
    l.scale = a.float_or("scale", 1);
    l.causal = a.int_or("causal", 0) != 0;
    l.window = static_cast<size_t>(std::max<int64_t>(a.int_or("window", 0), 0));
    l.rotary = !input(a, 3).empty();
    OCTAVO_CHECK(before(qkv[0], name + ".attention", l.attention_norm));
    if (same_input(qkv[0], qkv[1]) && same_input(qkv[0], qkv[2])) {
      l.qkv.push_back(pack_linear(name + ".qkv", qkv, false, out_.tensors));
    } else {
      constexpr const char* kNames[] = {".q", ".k", ".v"};
      for (size_t i = 0; i < 3; ++i) {
        if (qkv[i].node->inputs[0] != qkv[0].node->inputs[0])
          return stop(a, "queries, keys and values are made of different values");
        l.qkv.push_back(pack_linear(name + kNames[i], {qkv[i]}, false, out_.tensors));
      }
    }
    if (l.rotary) {
      OCTAVO_CHECK(position_rows(a, input(a, 3), "rotary.cos", l.head_dim));
      OCTAVO_CHECK(position_rows(a, input(a, 4), "rotary.sin", l.head_dim));
      if (rotation_.empty()) rotation_ = {input(a, 3), input(a, 4)};
      if (rotation_[0] != input(a, 3) || rotation_[1] != input(a, 4))
        return stop(a, "rotary positions that differ from those of the first layer");
    }
    const auto head_norm = [&](size_t at, const std::string& which, NormSpec& spec) {
      const Initializer* gain = constant(a, at);
      if (gain == nullptr) return;
      spec = {name + which, NormKind::rms, a.float_or("epsilon", 1e-6F)};
      floats(spec.name + ".gain", *gain, l.head_dim);
    };
    head_norm(5, ".q_norm", l.q_norm);
    head_norm(6, ".k_norm", l.k_norm);
    const auto after = users(a.outputs[0]);
    if (after.size() != 1) return stop(a, "its output is read by more than one node");
    OCTAVO_TRY(const LinearSource out, linear_source(after[0]->outputs[0]));
    l.out = pack_linear(name + ".out", {out}, false, out_.tensors);
    return residual(out.node->outputs[0], name + ".attention_output", l.attention_output_norm);
  }

  static std::optional<Activation> activation_of(const Node& n) {
    const bool tanh = n.string_or("approximate", "none") == "tanh";
    if (n.op_type == raised::kSwiGlu || n.op_type == raised::kSilu) return Activation::silu;
    if (n.op_type == raised::kGeGlu || n.op_type == "Gelu")
      return tanh ? Activation::gelu_tanh : Activation::gelu;
    if (n.op_type == "Relu") return Activation::relu;
    return std::nullopt;
  }

  Status feed_forward(LayerSpec& l, const std::string& name) {
    const Node* act = behind_linear([](const Node& n) { return activation_of(n).has_value(); });
    if (act == nullptr) return stop_at(x_, "no feed-forward layer reads this value");
    l.activation = *activation_of(*act);
    l.gated = act->op_type == raised::kSwiGlu || act->op_type == raised::kGeGlu;
    std::vector<LinearSource> up;
    for (size_t i = 0; i < (l.gated ? 2U : 1U); ++i) {
      OCTAVO_TRY(LinearSource s, linear_source(input(*act, i)));
      up.push_back(s);
    }
    l.inner = up[0].n;
    OCTAVO_CHECK(before(up[0], name + ".mlp", l.mlp_norm));
    // Widths may differ by broadcasting, which no gate does.
    if (l.gated && (up[0].node->inputs[0] != up[1].node->inputs[0] || up[0].n != up[1].n))
      return stop(*act, "gate and up are made of different values, or of different widths");
    if (!l.gated) {
      l.up.push_back(pack_linear(name + ".up", up, false, out_.tensors));
    } else if (same_input(up[0], up[1]) && up[0].kind == WeightKind::s8) {
      l.up.push_back(pack_linear(name + ".up", up, true, out_.tensors));
    } else {
      l.up.push_back(pack_linear(name + ".gate", {up[0]}, false, out_.tensors));
      l.up.push_back(pack_linear(name + ".up", {up[1]}, false, out_.tensors));
    }
    const auto after = users(act->outputs[0]);
    if (after.size() != 1) return stop(*act, "its output is read by more than one node");
    OCTAVO_TRY(const LinearSource down, linear_source(after[0]->outputs[0]));
    l.down = pack_linear(name + ".down", {down}, false, out_.tensors);
    return residual(down.node->outputs[0], name + ".mlp_output", l.mlp_output_norm);
  }

  const Graph& graph_;
  const GraphIndex index_;
  const std::map<std::string, Tensor>& positions_;
  std::string x_;                      // the residual stream
  std::vector<std::string> rotation_;  // cos and sin of the first layer
  Compiled out_;
};

}  // namespace

Result<Compiled> compile(const Model& raised, const std::map<std::string, Tensor>& positions) {
  return Compiler(raised, positions).compile();
}

}  // namespace octavo::fused
