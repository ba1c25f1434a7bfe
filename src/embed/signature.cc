#include "embed/signature.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

namespace octavo {

namespace {

using Role = Signature::Role;

std::optional<Role> role_of(const std::string& name) {
  if (name == "input_ids") return Role::ids;
  if (name == "attention_mask") return Role::mask;
  if (name == "token_type_ids") return Role::types;
  if (name == "position_ids") return Role::positions;
  return std::nullopt;
}

// "past_key_values.0.key", float [batch, heads, cached tokens, head size]: nothing is cached.
Result<Signature::Input> empty_cache(const ValueInfo& input) {
  const Error error{Code::unsupported,
                    "input \"" + input.name +
                        "\" is a key/value cache of another shape than [batch, heads, cached "
                        "tokens, head size] with numbers for heads and head size. Export the model "
                        "for feature extraction, or import the original with `octavo import`"};
  if ((input.dtype != DType::f32 && input.dtype != DType::f16) || !input.shape ||
      input.shape->size() != 4)
    return error;
  const auto* heads = std::get_if<int64_t>(&(*input.shape)[1]);
  const auto* head_size = std::get_if<int64_t>(&(*input.shape)[3]);
  if (heads == nullptr || head_size == nullptr || *heads <= 0 || *head_size <= 0 ||
      std::holds_alternative<int64_t>((*input.shape)[2]))
    return error;
  return Signature::Input{input.name, Role::past, input.dtype, {1, *heads, 0, *head_size}};
}

Status read_inputs(const Graph& graph, Signature& signature) {
  std::unordered_set<std::string> constants;  // IR version 3 lists initializers as inputs too
  for (const Initializer& i : graph.initializers) constants.insert(i.name());
  bool has_ids = false;
  for (const ValueInfo& input : graph.inputs) {
    if (constants.contains(input.name)) continue;
    const auto role = role_of(input.name);
    if (!role && input.name.starts_with("past")) {
      OCTAVO_TRY(Signature::Input cache, empty_cache(input));
      signature.inputs.push_back(std::move(cache));
      continue;
    }
    if (!role)
      return Error{Code::unsupported,
                   "input \"" + input.name +
                       "\" is not one an embedding model can be given; known are input_ids, "
                       "attention_mask, token_type_ids, position_ids"};
    if (input.dtype != DType::i64 && input.dtype != DType::i32)
      return Error{Code::unsupported, "input \"" + input.name + "\" is " +
                                          std::string(dtype_name(input.dtype)) +
                                          "; int64 or int32 is expected"};
    signature.inputs.push_back({input.name, *role, input.dtype, {}});
    has_ids |= *role == Role::ids;
  }
  if (!has_ids) return Error{Code::unsupported, "the model has no input \"input_ids\""};
  return Done{};
}

bool is_float(const ValueInfo& value) {
  return value.dtype == DType::f32 || value.dtype == DType::f16;
}

bool has_rank(const ValueInfo& value, size_t rank) {
  return value.shape && value.shape->size() == rank;
}

Status choose_output(const Graph& graph, Signature& signature) {
  const auto named = [&](const char* name) -> const ValueInfo* {
    const auto at = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                 [&](const ValueInfo& v) { return v.name == name && is_float(v); });
    return at == graph.outputs.end() ? nullptr : &*at;
  };
  const auto hidden = [](const ValueInfo& v) {
    return is_float(v) && has_rank(v, 3) && v.name != "logits";
  };
  const ValueInfo* chosen = named("last_hidden_state");
  if (chosen == nullptr) chosen = named("token_embeddings");
  if (chosen == nullptr) {
    const auto at = std::find_if(graph.outputs.begin(), graph.outputs.end(), hidden);
    if (at != graph.outputs.end()) {
      chosen = &*at;
      signature.warnings.push_back("no output last_hidden_state; guessed: \"" + chosen->name +
                                   "\" is it");
    }
  }
  if (chosen == nullptr) {
    const auto at = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                 [](const ValueInfo& v) { return is_float(v) && has_rank(v, 2); });
    if (const ValueInfo* whole = named("sentence_embedding"))
      chosen = whole;
    else if (at != graph.outputs.end() && at->name != "logits")
      chosen = &*at;
    if (chosen != nullptr) {
      signature.pooled = true;
      signature.warnings.push_back("the model pools itself: output \"" + chosen->name +
                                   "\" is used as it is, the pooling setting is not");
    }
  }
  if (chosen == nullptr) {
    std::string names;
    for (const ValueInfo& v : graph.outputs) names += (names.empty() ? "" : ", ") + v.name;
    return Error{Code::unsupported,
                 "none of the outputs (" + names +
                     ") is a hidden state: a float tensor [batch, sequence, width], best named "
                     "last_hidden_state"};
  }
  signature.output = chosen->name;
  if (chosen->shape && !chosen->shape->empty()) {
    if (const auto* n = std::get_if<int64_t>(&chosen->shape->back())) signature.width = *n;
  }
  return Done{};
}

int64_t vocabulary_of(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op_type != "Gather" || node.inputs.size() != 2 || node.inputs[1] != "input_ids")
      continue;
    const Initializer* table = graph.find_initializer(node.inputs[0]);
    if (table != nullptr && table->shape().size() == 2 && node.int_or("axis", 0) == 0)
      return table->shape()[0];
  }
  return 0;
}

// The constant axes of a reduction: its attribute (before opset 18) or its second input.
std::optional<std::vector<int64_t>> axes_of(const Node& node, const Graph& graph) {
  if (node.has("axes")) return node.ints_or("axes", {});
  if (node.inputs.size() < 2 || node.inputs[1].empty()) return std::nullopt;
  if (const Initializer* i = graph.find_initializer(node.inputs[1])) {
    const auto tensor = i->tensor();
    if (!tensor || tensor->dtype() != DType::i64) return std::nullopt;
    const auto values = tensor->values<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  for (const Node& other : graph.nodes) {
    if (other.op_type != "Constant" || other.outputs.empty() || other.outputs[0] != node.inputs[1])
      continue;
    const Tensor* tensor = other.tensor("value");
    if (tensor == nullptr || tensor->dtype() != DType::i64) return std::nullopt;
    const auto values = tensor->values<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  return std::nullopt;
}

// Whether a node computes one number from several rows of the batch. Reductions over named axes
// other than the first are taken to stay inside a row: exporters put the batch first.
bool mixes_rows(const Node& node, const Graph& graph) {
  if (node.op_type.starts_with("DynamicQuantize")) return true;
  if (!node.op_type.starts_with("Reduce")) return false;
  const auto axes = axes_of(node, graph);
  return !axes || axes->empty() || std::find(axes->begin(), axes->end(), 0) != axes->end();
}

bool mixes_rows(const std::vector<Node>& nodes, const Graph& graph) {
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) {
    if (mixes_rows(node, graph)) return true;
    for (const auto& [key, value] : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<Graph>>(&value);
      if (body != nullptr && *body && mixes_rows((*body)->nodes, **body)) return true;
    }
    return false;
  });
}

}  // namespace

Result<std::vector<Signature::Input>> read_signature_inputs(const Graph& graph) {
  Signature signature;
  OCTAVO_CHECK(read_inputs(graph, signature));
  return std::move(signature.inputs);
}

Result<Signature> read_signature(const Model& model) {
  Signature signature;
  OCTAVO_CHECK(read_inputs(model.graph, signature));
  OCTAVO_CHECK(choose_output(model.graph, signature));
  signature.vocabulary = vocabulary_of(model.graph);
  signature.rows_independent = !mixes_rows(model.graph.nodes, model.graph);
  for (const Function& f : model.functions) {
    if (mixes_rows(f.nodes, model.graph)) signature.rows_independent = false;
  }
  return signature;
}

}  // namespace octavo
