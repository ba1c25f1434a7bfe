#include "passes/raise_view.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/half.h"
#include "graph/constants.h"

namespace octavo::raise {

namespace {

uint8_t role(const std::string& input) {
  if (input == "input_ids") return kIds;
  if (input == "attention_mask") return kMask;
  if (input == "position_ids") return kPlaces;
  if (input == "token_type_ids") return kTypes;
  if (input.starts_with("past")) return kPast;
  return kOther;
}

bool shape_follows_data(const Node& node) {
  const auto& op = node.op_type;
  return op == "NonZero" || op == "Unique" || op == "Compress" || op == "NonMaxSuppression";
}

bool has_subgraph(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const auto& a) {
    return std::holds_alternative<std::shared_ptr<Graph>>(a.second);
  });
}

bool same_element_count(const Shape& a, const Shape& b) {
  const auto x = element_count(a);
  const auto y = element_count(b);
  return x && y && *x == *y;
}

}  // namespace

Result<Dependencies> dependencies(const Graph& graph) {
  Dependencies all;
  for (const auto& v : graph.inputs) all[v.name] = role(v.name);
  for (const auto& i : graph.initializers) all[i.name()] = 0;  // IR 3 lists them as inputs too
  OCTAVO_TRY(const auto order, topological_order(graph));
  for (const size_t n : order) {
    const Node& node = graph.nodes[n];
    unsigned bits = has_subgraph(node) ? unsigned{kOther} : 0U;
    for (const auto& in : node.inputs) {
      if (const auto it = all.find(in); it != all.end()) bits |= it->second;
    }
    if ((node.op_type == "Shape" || node.op_type == "Size") && (bits & kDataShape) == 0 &&
        bits != 0)
      bits = kLength;
    if (shape_follows_data(node) && (bits & ~unsigned{kLength}) != 0) bits |= kDataShape;
    for (const auto& out : node.outputs) all[out] = static_cast<uint8_t>(bits);
    // The second output of this op, an index of its mask, is made of nothing else.
    if (node.op_type == "EmbedLayerNormalization" && node.outputs.size() > 1) {
      const bool masked = node.inputs.size() > 7 && all.contains(node.inputs[7]);
      all[node.outputs[1]] = masked ? all[node.inputs[7]] : uint8_t{kLength};
    }
  }
  return all;
}

Result<View> View::make(const Model& model, const Probe& probe, const std::string& output) {
  View view(model, probe);
  OCTAVO_TRY(view.dependencies_, dependencies(model.graph));
  view.find_twins();
  const Shape* shape = view.shape(output);
  if (shape == nullptr)
    return Error{Code::invalid_input, "the probe has not seen the output \"" + output + "\""};
  if (shape->size() != 3 || (*shape)[0] != 1 || (*shape)[1] < 2)
    return Error{Code::unsupported, "output \"" + output + "\" is " + to_string(*shape) +
                                        " for one text; hidden states [1, length, width] are "
                                        "expected"};
  view.length_ = (*shape)[1];
  view.tokens_ = (*shape)[0] * (*shape)[1];
  return view;
}

void View::find_twins() {
  std::map<std::pair<std::vector<std::string>, int64_t>, std::string> first;
  for (const Node& node : graph_->nodes) {
    if (node.op_type != "DequantizeLinear" || !node.domain.empty() || node.outputs.empty() ||
        node.has("block_size") || node.has("output_dtype"))
      continue;
    const auto [at, is_new] =
        first.try_emplace({node.inputs, node.int_or("axis", 1)}, node.outputs[0]);
    if (!is_new) twins_[node.outputs[0]] = at->second;
  }
}

const Node* View::producer(const std::string& value) const {
  const size_t n = index_.producer(value);
  return n == GraphIndex::kNone ? nullptr : &graph_->nodes[n];
}

const Node* View::standard(const std::string& value, std::string_view op, size_t inputs) const {
  const Node* node = producer(value);
  const bool fits = node != nullptr && node->domain.empty() && node->op_type == op &&
                    node->inputs.size() >= inputs && !node->outputs.empty();
  return fits ? node : nullptr;
}

const Node* View::contrib(const std::string& value, std::string_view op, size_t inputs) const {
  const Node* node = producer(value);
  const bool fits = node != nullptr && node->domain == "com.microsoft" && node->op_type == op &&
                    node->inputs.size() >= inputs && !node->outputs.empty();
  return fits ? node : nullptr;
}

uint8_t View::depends(const std::string& value) const {
  const auto it = dependencies_.find(value);
  return it == dependencies_.end() ? uint8_t{kOther} : it->second;
}

const Shape* View::shape(const std::string& value) const {
  const auto it = probe_->shapes.find(value);
  if (it != probe_->shapes.end()) return &it->second;
  const size_t i = index_.initializer(value);
  return i == GraphIndex::kNone ? nullptr : &graph_->initializers[i].shape();
}

bool View::is_rows(const std::string& value) const {
  const Shape* s = shape(value);
  if (s == nullptr || s->size() < 2 || s->back() <= 0) return false;
  const auto count = element_count(*s);
  return count && *count == tokens_ * s->back();
}

int64_t View::width(const std::string& value) const {
  const Shape* s = shape(value);
  return s == nullptr || s->empty() ? 0 : s->back();
}

bool View::is_float_cast(const Node& node) const {
  return node.op_type == "Cast" && node.inputs.size() == 1 &&
         is_float(static_cast<DType>(node.int_or("to", 0)));
}

std::optional<Initializer> View::constant(const std::string& value) const {
  std::string at = value;
  for (int step = 0; step < kMaxSteps; ++step) {
    if (const size_t i = index_.initializer(at); i != GraphIndex::kNone)
      return graph_->initializers[i];
    const Node* node = producer(at);
    if (node == nullptr || !node->domain.empty()) return std::nullopt;
    if (node->op_type == "Constant") {
      Tensor tensor = constant_value(*node);
      if (!tensor.defined()) return std::nullopt;
      return Initializer(at, std::move(tensor));
    }
    const bool same = node->op_type == "Identity" && node->inputs.size() == 1;
    if (!same && !is_float_cast(*node)) return std::nullopt;
    at = node->inputs[0];
  }
  return std::nullopt;
}

std::optional<Initializer> View::vector(const std::string& value, int64_t count) const {
  auto found = constant(value);
  if (!found || found->shape().empty() || found->storage == Initializer::Storage::sparse)
    return std::nullopt;
  const auto elements = element_count(found->shape());
  if (!elements || *elements != found->shape().back()) return std::nullopt;
  if (count == 0 ? *elements < 2 : *elements != count) return std::nullopt;
  return found;
}

std::optional<Matrix> View::matrix(const std::string& value) const {
  std::string at = value;
  bool transposed = false;
  for (int step = 0; step < kMaxSteps; ++step) {
    auto found = constant(at);
    if (!found) found = dequantized(at);
    if (!found) found = looked_up(at);
    if (found) {
      if (found->shape().size() != 2 || found->storage == Initializer::Storage::sparse)
        return std::nullopt;
      return Matrix{*std::move(found), transposed};
    }
    const Node* node = producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return std::nullopt;
    if (node->op_type == "Transpose") {
      const auto perm = node->ints_or("perm", {1, 0});
      if (perm == std::vector<int64_t>{1, 0}) {
        transposed = !transposed;
      } else if (perm != std::vector<int64_t>{0, 1}) {
        return std::nullopt;
      }
    } else if (node->op_type != "Identity" && !is_float_cast(*node)) {
      return std::nullopt;
    }
    at = node->inputs[0];
  }
  return std::nullopt;
}

Tensor View::probed(const std::string& value) const {
  if (const auto it = probe_->values.find(value); it != probe_->values.end()) return it->second;
  if (const auto found = constant(value)) {
    if (auto tensor = found->tensor()) return *std::move(tensor);
  }
  return {};
}

std::optional<double> View::number(const std::string& value) const {
  if (!by_length(value)) return std::nullopt;
  const Shape* s = shape(value);
  if (s != nullptr) {
    const auto count = element_count(*s);
    if (!count || *count != 1) return std::nullopt;
  }
  const Tensor tensor = probed(value);
  if (!tensor.defined() || tensor.size() != 1) return std::nullopt;
  return element(tensor, 0);
}

std::optional<std::vector<int64_t>> View::integers(const std::string& value) const {
  const Tensor tensor = by_length(value) ? probed(value) : Tensor();
  return integer_values(tensor);
}

std::optional<std::vector<int64_t>> View::axes(const Node& node) const {
  if (node.inputs.size() > 1 && !node.inputs[1].empty()) return integers(node.inputs[1]);
  return node.ints_or("axes", {});
}

std::string View::skip(const std::string& value) const {
  std::string at = value;
  for (int step = 0; step < kMaxSteps; ++step) {
    if (const auto twin = twins_.find(at); twin != twins_.end()) at = twin->second;
    const Node* node = producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty() || node->inputs[0].empty())
      return at;
    const bool first = !node->outputs.empty() && node->outputs[0] == at;
    const bool nothing = node->op_type == "Identity" || node->op_type == "Dropout";
    if (!first || (!nothing && !is_float_cast(*node))) return at;
    // int32 -> float makes a number of the sums of an integer product.
    if (node->op_type == "Cast" && standard(node->inputs[0], "MatMulInteger") != nullptr) return at;
    at = node->inputs[0];
  }
  return at;
}

std::string View::rows(const std::string& value) const {
  std::string at = value;
  for (int step = 0; step < kMaxSteps; ++step) {
    at = skip(at);
    const Node* node = producer(at);
    if (node == nullptr || !node->domain.empty() || node->inputs.empty()) return at;
    const auto& op = node->op_type;
    if (op != "Reshape" && op != "Squeeze" && op != "Unsqueeze" && op != "Flatten") return at;
    const auto& before = node->inputs[0];
    if (!is_rows(at) || !is_rows(before) || width(at) != width(before) ||
        !same_element_count(*shape(at), *shape(before)))
      return at;
    at = before;
  }
  return at;
}

double element(const Tensor& tensor, size_t i) {
  switch (tensor.dtype()) {
    case DType::f32:
      return double{tensor.data<float>()[i]};
    case DType::f64:
      return tensor.data<double>()[i];
    case DType::f16:
      return double{f16_to_f32(tensor.data<uint16_t>()[i])};
    case DType::bf16:
      return double{bf16_to_f32(tensor.data<uint16_t>()[i])};
    case DType::i64:
      return static_cast<double>(tensor.data<int64_t>()[i]);
    case DType::i32:
      return static_cast<double>(tensor.data<int32_t>()[i]);
    case DType::i8:
      return static_cast<double>(tensor.data<int8_t>()[i]);
    case DType::u8:
      return static_cast<double>(tensor.data<uint8_t>()[i]);
    case DType::boolean:
      return tensor.data<bool>()[i] ? 1 : 0;
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

bool is_last_axis(int64_t axis, const Shape* shape) {
  return axis == -1 || (shape != nullptr && axis + 1 == static_cast<int64_t>(shape->size()));
}

Error unsupported(const Node& node, const std::string& why) {
  return Error{Code::unsupported, node.describe() + ": " + why};
}

Error unsupported(const View& view, const std::string& value, const std::string& why) {
  const Node* node = view.producer(value);
  if (node != nullptr) return unsupported(*node, why);
  return Error{Code::unsupported, "\"" + value + "\": " + why};
}

}  // namespace octavo::raise

namespace octavo {

std::vector<std::string> probe_values(const Graph& graph) {
  std::vector<std::string> names;
  const auto all = raise::dependencies(graph);
  if (!all) return names;
  for (const Node& node : graph.nodes) {
    for (const auto& out : node.outputs) {
      if (!out.empty() && (all->at(out) & (raise::kIds | raise::kOther)) == 0) names.push_back(out);
    }
  }
  return names;
}

}  // namespace octavo
