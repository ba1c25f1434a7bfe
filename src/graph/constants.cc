#include "graph/constants.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace octavo {

namespace {

constexpr int64_t kSpelledElements = 8;

std::string_view short_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::i64:
      return "i64";
    case DType::i32:
      return "i32";
    case DType::boolean:
      return "bool";
    default:
      return dtype_name(dtype);
  }
}

// Nine significant digits tell any two float32 apart.
std::string spell(const Tensor& tensor, size_t i) {
  if (tensor.dtype() == DType::i64) return std::to_string(tensor.data<int64_t>()[i]);
  if (tensor.dtype() == DType::i32) return std::to_string(tensor.data<int32_t>()[i]);
  if (tensor.dtype() == DType::boolean) return tensor.data<bool>()[i] ? "true" : "false";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(tensor.data<float>()[i]));
  return text;
}

using Renames = std::unordered_map<std::string, std::string>;

void rename(std::string& name, const Renames& renames) {
  if (const auto it = renames.find(name); it != renames.end()) name = it->second;
}

void rename_uses(Graph& graph, const Renames& renames) {
  for (auto& node : graph.nodes) {
    for (auto& in : node.inputs) rename(in, renames);
    for (auto& [key, value] : node.attributes) {
      if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) {
        auto copy = std::make_shared<Graph>(**sub);  // shared with copies of the model
        rename_uses(*copy, renames);
        for (auto& out : copy->outputs) rename(out.name, renames);
        *sub = std::move(copy);
      }
    }
  }
}

}  // namespace

std::string constant_name(const Tensor& tensor) {
  std::string name = "/constants/" + std::string(short_name(tensor.dtype()));
  const bool spellable = tensor.dtype() == DType::i64 || tensor.dtype() == DType::f32 ||
                         tensor.dtype() == DType::i32 || tensor.dtype() == DType::boolean;
  if (spellable && tensor.rank() <= 1 && tensor.size() <= kSpelledElements && tensor.size() > 0) {
    // A list of one and a scalar are different constants.
    if (tensor.rank() == 1 && tensor.size() == 1) name += "_1x";
    for (int64_t i = 0; i < tensor.size(); ++i) name += "_" + spell(tensor, static_cast<size_t>(i));
    return name;
  }
  for (size_t i = 0; i < tensor.rank(); ++i)
    name += (i == 0 ? "_" : "x") + std::to_string(tensor.dim(i));
  return name;
}

Tensor constant_value(const Node& node) {
  if (node.op_type != "Constant" || !node.domain.empty()) return {};
  for (const auto& [key, value] : node.attributes) {
    if (key == "value") {
      if (const auto* t = std::get_if<Tensor>(&value)) return *t;
    } else if (key == "value_float") {
      if (const auto* v = std::get_if<float>(&value)) return Tensor::scalar(*v);
    } else if (key == "value_int") {
      if (const auto* v = std::get_if<int64_t>(&value)) return Tensor::scalar(*v);
    } else if (key == "value_floats") {
      if (const auto* v = std::get_if<std::vector<float>>(&value))
        return Tensor::of<float>({static_cast<int64_t>(v->size())}, *v);
    } else if (key == "value_ints") {
      if (const auto* v = std::get_if<std::vector<int64_t>>(&value))
        return Tensor::of<int64_t>({static_cast<int64_t>(v->size())}, *v);
    }
  }
  return {};
}

std::optional<std::vector<int64_t>> integer_values(const Tensor& tensor) {
  if (tensor.dtype() == DType::i64) {
    const auto values = tensor.values<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  if (tensor.dtype() == DType::i32) {
    const auto values = tensor.values<int32_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  return std::nullopt;
}

void hoist_constants(Graph& graph) {
  std::unordered_set<std::string> outputs;
  for (const auto& out : graph.outputs) outputs.insert(out.name);
  std::unordered_set<std::string> taken;
  for (const auto& i : graph.initializers) taken.insert(i.name());
  for (const auto& i : graph.inputs) taken.insert(i.name);
  for (const auto& node : graph.nodes) taken.insert(node.outputs.begin(), node.outputs.end());

  // By name first (equal content has an equal name), then by content: large constants share names.
  std::multimap<std::string, std::pair<Tensor, std::string>> made;
  Renames renames;
  std::vector<Node> kept;
  for (auto& node : graph.nodes) {
    const Tensor value = constant_value(node);
    if (!value.defined() || node.outputs.size() != 1 || outputs.contains(node.outputs[0])) {
      kept.push_back(std::move(node));
      continue;
    }
    const std::string wanted = constant_name(value);
    std::string name;
    const auto [first, last] = made.equal_range(wanted);
    for (auto it = first; it != last; ++it) {
      if (same_content(it->second.first, value)) name = it->second.second;
    }
    if (name.empty()) {
      name = wanted;
      for (int i = 1; !taken.insert(name).second; ++i) name = wanted + "." + std::to_string(i);
      made.emplace(wanted, std::pair{value, name});
      graph.initializers.emplace_back(name, value);
    }
    renames.emplace(node.outputs[0], name);
  }
  graph.nodes = std::move(kept);
  rename_uses(graph, renames);
}

bool same_content(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

}  // namespace octavo
