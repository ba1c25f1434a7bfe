#include "graph/graph.h"

#include <algorithm>

namespace octavo {

namespace {

template <class T>
const T* attribute(const Node& node, const std::string& key) {
  const auto it = node.attributes.find(key);
  return it == node.attributes.end() ? nullptr : std::get_if<T>(&it->second);
}

}  // namespace

int64_t Node::int_or(const std::string& key, int64_t fallback) const {
  const auto* v = attribute<int64_t>(*this, key);
  return v != nullptr ? *v : fallback;
}

float Node::float_or(const std::string& key, float fallback) const {
  const auto* v = attribute<float>(*this, key);
  return v != nullptr ? *v : fallback;
}

std::string Node::string_or(const std::string& key, std::string_view fallback) const {
  const auto* v = attribute<std::string>(*this, key);
  return v != nullptr ? *v : std::string(fallback);
}

std::vector<int64_t> Node::ints_or(const std::string& key, std::vector<int64_t> fallback) const {
  const auto* v = attribute<std::vector<int64_t>>(*this, key);
  return v != nullptr ? *v : std::move(fallback);
}

const Tensor* Node::tensor(const std::string& key) const { return attribute<Tensor>(*this, key); }

std::string Node::describe() const {
  const std::string op = domain.empty() ? op_type : domain + "." + op_type;
  if (!name.empty()) return op + " node \"" + name + "\"";
  return op + " node" + (outputs.empty() ? "" : " making \"" + outputs[0] + "\"");
}

Result<Tensor> Initializer::tensor() const {
  if (!make_) return tensor_;
  OCTAVO_TRY(Tensor made, make_().within("initializer \"" + name_ + "\""));
  if (made.dtype() != dtype_ || made.shape() != shape_)
    return Error{Code::internal, "initializer \"" + name_ + "\" was promised as " +
                                     std::string(dtype_name(dtype_)) + to_string(shape_) +
                                     " but computed as " + std::string(dtype_name(made.dtype())) +
                                     to_string(made.shape())};
  return made;
}

const Initializer* Graph::find_initializer(std::string_view wanted) const {
  const auto it = std::find_if(initializers.begin(), initializers.end(),
                               [&](const Initializer& i) { return i.name() == wanted; });
  return it == initializers.end() ? nullptr : &*it;
}

int64_t Model::opset() const {
  const auto it = opset_imports.find("");
  return it == opset_imports.end() ? 0 : it->second;
}

}  // namespace octavo
