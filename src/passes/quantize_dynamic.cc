#include "passes/quantize_dynamic.h"

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "passes/gemm_to_matmul.h"
#include "passes/quantize_rows.h"
#include "passes/rotate_residual.h"
#include "passes/tidy.h"

namespace octavo {

namespace {

// Above this, 255 * 127 * K passes int32: the sums of MatMulInteger would wrap.
constexpr int64_t kMaxDepth = 66310;
// Quantizing a constant needs DequantizeLinear's axis where another op reads it.
constexpr int64_t kOpsetOfAxis = 13;

// The quantized stand-in of a float value.
struct Standin {
  std::string values, scale, zero_point, column_sums;
  bool per_channel = false;
};

uint64_t bytes_of(const Initializer& i) {
  const auto bytes = byte_count(i.dtype(), i.shape());
  return bytes ? *bytes : i.opaque.size();
}

class Rewriter {
 public:
  Rewriter(Model& model, const QuantizeDynamicOptions& options)
      : graph_(model.graph),
        opset_(model.opset()),
        options_(options),
        pool_(options.pool ? options.pool : std::make_shared<ThreadPool>()),
        cache_(make_weight_cache()) {}

  Status run(QuantizeReport& report) {
    for (const auto& i : graph_.initializers) report.bytes_before += bytes_of(i);
    for (auto& kept : gemm_to_matmul(graph_))
      report.kept.push_back({std::move(kept.node), std::move(kept.reason)});
    old_ = std::move(graph_.nodes);
    collect();
    for (const Node& node : old_) {
      const bool matmul = node.op_type == "MatMul" && node.domain.empty();
      const std::string reason = matmul ? why_not(node) : "not a MatMul";
      if (reason.empty()) {
        quantize(node, report);
        continue;
      }
      if (matmul) report.kept.push_back({label(node), reason});
      report_subgraphs(node, report);
      for (const auto& in : node.inputs) dequantize(in);
      emit(node);
    }
    for (const auto& out : graph_.outputs) dequantize(out.name);
    graph_.nodes = std::move(nodes_);
    for (auto& i : made_) graph_.initializers.push_back(std::move(i));
    drop_unused_initializers(graph_);
    OCTAVO_CHECK(sort_breadth_first(graph_));
    for (const auto& i : graph_.initializers) report.bytes_after += bytes_of(i);
    return Done{};
  }

 private:
  static std::string label(const Node& node) {
    return node.name.empty() ? node.describe() : node.name;
  }

  void collect() {
    for (size_t i = 0; i < graph_.initializers.size(); ++i)
      constants_.emplace(graph_.initializers[i].name(), i);
    for (const auto& i : graph_.initializers) taken_.insert(i.name());
    for (const auto& v : graph_.inputs) {
      taken_.insert(v.name);
      if (!constants_.contains(v.name)) made_values_.insert(v.name);
    }
    for (size_t n = 0; n < old_.size(); ++n) {
      const Node& node = old_[n];
      if (!node.name.empty()) old_nodes_.emplace(node.name, n);
      for (const auto& out : node.outputs) {
        taken_.insert(out);
        if (!out.empty()) makers_.emplace(out, node.op_type);
      }
    }
  }

  const Initializer* constant(const std::string& name) const {
    const auto it = constants_.find(name);
    return it == constants_.end() ? nullptr : &graph_.initializers[it->second];
  }

  void emit(Node node) {
    for (const auto& out : node.outputs) {
      made_values_.insert(out);
      taken_.insert(out);
    }
    if (!node.name.empty()) new_nodes_.emplace(node.name, nodes_.size());
    nodes_.push_back(std::move(node));
  }

  // Empty when the node can be quantized.
  std::string why_not(const Node& node) const {
    if (node.inputs.size() != 2 || node.outputs.size() != 1) return "not a well-formed MatMul";
    if (options_.exclude) {
      if (std::string reason = options_.exclude(node); !reason.empty()) return reason;
    }
    const Initializer* b = constant(node.inputs[1]);
    if (is_rotation_back(node.inputs[1])) return "it rotates the residual stream back";
    if (b == nullptr) {
      const auto maker = makers_.find(node.inputs[1]);
      return "B is not a constant initializer (it is " +
             (maker == makers_.end() ? "an input" : "made by " + maker->second) + ")";
    }
    if (b->dtype() != DType::f32)
      return "B is " + std::string(dtype_name(b->dtype())) +
             ", and DynamicQuantizeLinear takes float32 only";
    const Shape& shape = b->shape();
    const auto count = element_count(shape);
    if (!count || *count == 0 || shape.empty()) return "B has no elements";
    if (shape.size() == 1 && options_.form.per_channel)
      return "B is a vector, which has no columns to scale";
    const int64_t depth = shape.size() == 1 ? shape[0] : shape[shape.size() - 2];
    if (depth > kMaxDepth)
      return "its " + std::to_string(depth) + " products in a sum could overflow int32";
    const Initializer* a = constant(node.inputs[0]);
    if (a != nullptr && (element_count(a->shape()) ? *element_count(a->shape()) : 0) == 0)
      return "A has no elements";
    if (activations_of(node) == Activations::per_tensor) return name_clash(node);
    if (shape.size() == 1) return "B is a vector, which has no columns to sum up";
    if (shape.size() > 2 && activations_of(node) == Activations::per_token_16)
      return "B is a stack of matrices, whose axis could meet that of the two bytes of 16-bit "
             "activations";
    return a != nullptr ? "A is a constant, which has no rows of a text" : row_name_clash(node);
  }

  std::string name_clash(const Node& node) const {
    const auto& y = node.outputs[0];
    std::vector<std::string> names = {y + "_output_quantized", y + "_output_quantized_cast_output"};
    for (const size_t k : {size_t{0}, size_t{1}}) {
      const auto& in = node.inputs[k];
      if (standins_.contains(in) || quantizer_of(in) != nullptr) continue;
      for (const char* suffix : {"_quantized", "_scale", "_zero_point"})
        names.push_back(in + suffix);
    }
    for (const auto& name : names) {
      if (taken_.contains(name)) return "the name \"" + name + "\" is already taken";
    }
    return {};
  }

  Activations activations_of(const Node& node) const {
    const bool more = options_.activations == Activations::per_token && options_.protect &&
                      options_.protect(node);
    return more ? Activations::per_token_16 : options_.activations;
  }

  std::string row_name_clash(const Node& node) const {
    const Activations activations = activations_of(node);
    const auto& x = node.inputs[0];
    const auto& w = node.inputs[1];
    RowStandin standin;
    std::vector<Node> made = row_quantizer(x, activations, opset_, standin);
    if (row_standins_.contains({x, activations})) made.clear();
    const RowWeight weight{w + "_quantized", w + "_scale", w + "_zero_point", w + "_column_sums"};
    for (auto& n : row_product("", standin, weight, node.outputs[0])) made.push_back(std::move(n));
    made.pop_back();  // it has the name that the MatMul had
    std::vector<std::string> names;
    for (const auto& n : made) names.push_back(n.outputs[0]);
    if (!standins_.contains(w))
      names.insert(names.end(),
                   {weight.values, weight.scale, weight.column_sums, weight.zero_point});
    if (row_standins_.empty()) {
      for (const auto& i : row_constants(opset_)) {
        const bool read = std::any_of(made.begin(), made.end(), [&](const Node& n) {
          return std::find(n.inputs.begin(), n.inputs.end(), i.name()) != n.inputs.end();
        });
        if (read) names.push_back(i.name());
      }
    }
    if (const Shape& shape = constant(w)->shape(); shape.size() == 2 && !ones_.contains(shape[0]))
      names.push_back(row_of_ones(shape[0]).name());
    for (const auto& name : names) {
      if (taken_.contains(name)) return "the name \"" + name + "\" is already taken";
    }
    return {};
  }

  // A node of the original graph that already quantizes this value, recognised by its name: a model
  // quantized in two steps.
  const Node* quantizer_of(const std::string& value) const {
    const auto it = old_nodes_.find(value + "_QuantizeLinear");
    if (it == old_nodes_.end() || constants_.contains(value)) return nullptr;
    const Node& node = old_[it->second];
    const bool dynamic = node.op_type == "DynamicQuantizeLinear" && node.outputs.size() == 3;
    return dynamic && node.inputs == std::vector<std::string>{value} ? &node : nullptr;
  }

  Standin quantize_constant(const Initializer& constant, const WeightForm& form) {
    QuantizedWeight made = quantize_weight(constant, form, pool_, cache_);
    Standin out{made.values.name(), made.scale.name(), made.zero_point.name(),
                made.column_sums.name(), form.per_channel};
    const bool rows = options_.activations != Activations::per_tensor;
    const bool summed = rows && constant.shape().size() == 2;  // by a node
    if (rows) made.zero_point = row_zero_point(made.zero_point.name());
    for (auto* i : {&made.scale, &made.zero_point, &made.column_sums, &made.values}) {
      if (i == &made.column_sums && (!rows || summed)) continue;
      taken_.insert(i->name());
      made_.push_back(std::move(*i));
    }
    if (summed) {
      const int64_t depth = constant.shape()[0];
      if (ones_.insert(depth).second) {
        made_.push_back(row_of_ones(depth));
        taken_.insert(made_.back().name());
      }
      emit(column_sums({out.values, out.scale, out.zero_point, out.column_sums}, depth));
    }
    return out;
  }

  Standin activation(const std::string& x) {
    if (const auto it = standins_.find(x); it != standins_.end()) return it->second;
    Standin out{x + "_quantized", x + "_scale", x + "_zero_point", ""};
    if (const Initializer* c = constant(x)) {
      out =
          quantize_constant(*c, {.is_signed = false, .reduce_range = false, .per_channel = false});
    } else if (const Node* old = quantizer_of(x)) {
      out = {old->outputs[0], old->outputs[1], old->outputs[2], ""};
    } else {
      emit({x + "_QuantizeLinear",
            "DynamicQuantizeLinear",
            "",
            {x},
            {out.values, out.scale, out.zero_point},
            {},
            {}});
    }
    return standins_.emplace(x, out).first->second;
  }

  RowStandin rows(const std::string& x, Activations activations) {
    if (row_standins_.empty()) {
      for (auto& constant : row_constants(opset_)) {
        taken_.insert(constant.name());
        made_.push_back(std::move(constant));
      }
    }
    const auto [it, fresh] = row_standins_.try_emplace({x, activations});
    if (fresh)
      for (auto& n : row_quantizer(x, activations, opset_, it->second)) emit(std::move(n));
    return it->second;
  }

  Standin weight(const std::string& w, const Node& node, QuantizeReport& report) {
    const auto found = standins_.find(w);
    const Initializer& source = *constant(w);
    const auto before = static_cast<int64_t>(bytes_of(source));
    const int64_t columns = options_.form.per_channel ? source.shape().back() : 1;
    // A scale, and a zero point of one byte; sums of four bytes where no node makes them.
    const Activations activations = activations_of(node);
    const int64_t sums = source.shape().size() == 2 ? 0 : source.shape().back() * 4;
    const int64_t more = activations == Activations::per_tensor ? columns * 5 : columns * 4 + sums;
    report.quantized.push_back({label(node), w, before, before / 4 + more, activations});
    if (found != standins_.end()) return found->second;
    return standins_.emplace(w, quantize_constant(source, options_.form)).first->second;
  }

  void quantize(const Node& node, QuantizeReport& report) {
    if (const Activations by = activations_of(node); by != Activations::per_tensor) {
      const RowStandin x = rows(node.inputs[0], by);
      const Standin w = weight(node.inputs[1], node, report);
      for (auto& n : row_product(node.name, x, {w.values, w.scale, w.zero_point, w.column_sums},
                                 node.outputs[0]))
        emit(std::move(n));
      return;
    }
    const Standin x = activation(node.inputs[0]);
    const Standin w = weight(node.inputs[1], node, report);
    const std::string name = node.name.empty() ? "" : node.name + "_quant";
    const std::string sums = node.outputs[0] + "_output_quantized";
    emit({name,
          "MatMulInteger",
          "",
          {x.values, w.values, x.zero_point, w.zero_point},
          {sums},
          {},
          {}});
    emit({sums + "_cast", "Cast", "", {sums}, {sums + "_cast_output"}, {{"to", int64_t{1}}}, {}});
    const std::string scales = scale_product(name, {x.scale, w.scale});
    emit({name.empty() ? "" : name + "_output_scale_mul",
          "Mul",
          "",
          {sums + "_cast_output", scales},
          node.outputs,
          {},
          {}});
  }

  // X_scale * W_scale. Unnamed nodes share it; two nodes that wrongly have one name must not.
  std::string scale_product(const std::string& node, const std::vector<std::string>& factors) {
    const std::string base =
        node.empty() ? factors[0] + "_" + factors[1] + "_mul" : node + "_scales_mul";
    std::string name = base;
    for (int suffix = 1;; ++suffix) {
      const auto it = new_nodes_.find(name);
      if (it != new_nodes_.end() && nodes_[it->second].op_type == "Mul" &&
          nodes_[it->second].inputs == factors)
        return nodes_[it->second].outputs[0];
      if (it == new_nodes_.end() && !taken_.contains(name + ":0")) break;
      name = base + "_" + std::to_string(suffix);
    }
    emit({name, "Mul", "", factors, {name + ":0"}, {}, {}});
    return name + ":0";
  }

  // A constant that was quantized, for an op that reads it as float.
  void dequantize(const std::string& value) {
    const auto it = standins_.find(value);
    if (it == standins_.end() || !constants_.contains(value) || made_values_.contains(value))
      return;
    const Standin& s = it->second;
    // Without the axis the float constant stays beside the quantized one.
    if (s.per_channel && opset_ < kOpsetOfAxis) return;
    Node node{value + "_DequantizeLinear",
              "DequantizeLinear",
              "",
              {s.values, s.scale, s.zero_point},
              {value},
              {},
              {}};
    if (s.per_channel) node.attributes["axis"] = int64_t{-1};
    emit(std::move(node));
  }

  static void report_subgraphs(const Node& node, QuantizeReport& report) {
    for (const auto& [key, value] : node.attributes) {
      const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value);
      if (sub == nullptr) continue;
      for (const auto& inner : (*sub)->nodes) {
        if (inner.op_type == "MatMul" || inner.op_type == "Gemm")
          report.kept.push_back({label(inner), "inside a subgraph of " + node.describe()});
        report_subgraphs(inner, report);
      }
    }
  }

  Graph& graph_;
  int64_t opset_;
  const QuantizeDynamicOptions& options_;
  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<WeightCache> cache_;
  std::vector<Node> old_;
  std::unordered_map<std::string, size_t> constants_;    // initializers of the original graph
  std::unordered_map<std::string, size_t> old_nodes_;    // by name, into old_
  std::unordered_map<std::string, std::string> makers_;  // value -> op type
  std::unordered_set<std::string> taken_;                // every name of a value
  std::unordered_map<std::string, Standin> standins_;
  std::map<std::pair<std::string, Activations>, RowStandin> row_standins_;
  std::set<int64_t> ones_;                       // depths that a row of ones was made for
  std::unordered_set<std::string> made_values_;  // inputs, and outputs of the new nodes so far
  std::vector<Node> nodes_;
  std::unordered_map<std::string, size_t> new_nodes_;
  std::vector<Initializer> made_;
};

}  // namespace

Status check_activations(Activations activations, bool is_signed) {
  if (activations != Activations::per_tensor && !is_signed)
    return Error{Code::invalid_input,
                 "a scale for every token goes with symmetric weights: --weight-type qint8"};
  return Done{};
}

Result<QuantizedModel> quantize_dynamic(Model model, const QuantizeDynamicOptions& options) {
  if (model.opset() < 11)
    return Error{Code::unsupported,
                 "opset " + std::to_string(model.opset()) +
                     " has no DynamicQuantizeLinear; export the model with opset 11 or newer"};
  OCTAVO_CHECK(check_activations(options.activations, options.form.is_signed));
  QuantizedModel out{std::move(model), {}};
  OCTAVO_CHECK(Rewriter(out.model, options).run(out.report));
  out.model.producer_name = "onnx.quantize";
  out.model.producer_version = "0.1.0";
  return out;
}

}  // namespace octavo
