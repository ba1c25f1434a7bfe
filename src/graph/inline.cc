#include "graph/inline.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace octavo {

namespace {

// Twenty functions that each call the next one twice are a million nodes from a small file; the
// largest models have some ten thousand.
constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxDepth = 64;  // calls inside calls; exporters make 3

using Renames = std::unordered_map<std::string, std::string>;

std::string key_of(const std::string& domain, const std::string& name) {
  return domain + "::" + name;
}

class Inliner {
 public:
  explicit Inliner(Model& model) : model_(model) {}

  Status run() {
    for (const auto& f : model_.functions) {
      if (!functions_.emplace(key_of(f.domain, f.name), &f).second)
        return Error{Code::unsupported, "two functions are named \"" + f.name + "\" in domain \"" +
                                            f.domain + "\" (overloads)"};
    }
    collect_names(model_.graph);
    OCTAVO_CHECK(inline_graph(model_.graph));
    return finish_imports();
  }

 private:
  void collect_names(const Graph& graph) {
    for (const auto& v : graph.inputs) values_.insert(v.name);
    for (const auto& i : graph.initializers) values_.insert(i.name());
    for (const auto& node : graph.nodes) {
      nodes_.insert(node.name);
      values_.insert(node.outputs.begin(), node.outputs.end());
      for (const auto& [key, value] : node.attributes) {
        if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) collect_names(**sub);
      }
    }
  }

  // Remembers the last suffix of each name: a thousand unnamed calls must not probe from 1 each.
  std::string unique(std::unordered_set<std::string>& taken, const std::string& wanted) {
    std::string name = wanted;
    while (!taken.insert(name).second) name = wanted + "_" + std::to_string(++suffixes_[wanted]);
    return name;
  }

  Status inline_graph(Graph& graph) {
    std::vector<Node> out;
    OCTAVO_CHECK(inline_nodes(std::exchange(graph.nodes, {}), out));
    graph.nodes = std::move(out);
    return Done{};
  }

  Status inline_nodes(std::vector<Node> nodes, std::vector<Node>& out) {
    for (auto& node : nodes) {
      for (auto& [key, value] : node.attributes) {
        if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) {
          auto copy = std::make_shared<Graph>(**sub);
          OCTAVO_CHECK(inline_graph(*copy));
          *sub = std::move(copy);
        }
      }
      const auto it = functions_.find(key_of(node.domain, node.op_type));
      if (++made_ > kMaxNodes)
        return Error{Code::unsupported,
                     "the functions expand to more than " + std::to_string(kMaxNodes) + " nodes"};
      if (it == functions_.end()) {
        out.push_back(std::move(node));
        continue;
      }
      OCTAVO_CHECK(expand(node, *it->second, out).within(node.describe()));
    }
    return Done{};
  }

  Status expand(const Node& call, const Function& function, std::vector<Node>& out) {
    if (std::find(stack_.begin(), stack_.end(), &function) != stack_.end())
      return Error{Code::invalid_input, "function \"" + function.name + "\" calls itself"};
    if (stack_.size() == kMaxDepth)
      return Error{Code::unsupported,
                   "functions call each other deeper than " + std::to_string(kMaxDepth)};
    if (call.inputs.size() > function.inputs.size() ||
        call.outputs.size() > function.outputs.size())
      return Error{Code::invalid_input,
                   "a call with " + std::to_string(call.inputs.size()) + " inputs and " +
                       std::to_string(call.outputs.size()) + " outputs of function \"" +
                       function.name + "\", which has " + std::to_string(function.inputs.size()) +
                       " and " + std::to_string(function.outputs.size())};
    OCTAVO_CHECK(merge_imports(function));
    OCTAVO_TRY(std::vector<Node> nodes, instantiate(call, function));
    stack_.push_back(&function);
    Status done = inline_nodes(std::move(nodes), out);
    stack_.pop_back();
    return done;
  }

  Result<std::vector<Node>> instantiate(const Node& call, const Function& function) {
    const std::string prefix = (call.name.empty() ? function.name : call.name) + "/";
    Renames names;
    for (size_t i = 0; i < function.inputs.size(); ++i)
      names[function.inputs[i]] = i < call.inputs.size() ? call.inputs[i] : "";

    std::unordered_set<std::string> unnamed;  // made by the body, not yet given a name outside
    for (const auto& node : function.nodes)
      unnamed.insert(node.outputs.begin(), node.outputs.end());
    std::vector<Node> nodes = function.nodes;
    for (size_t i = 0; i < std::min(function.outputs.size(), call.outputs.size()); ++i) {
      if (call.outputs[i].empty()) continue;
      if (unnamed.erase(function.outputs[i]) != 0) {
        names[function.outputs[i]] = call.outputs[i];
        continue;
      }
      // An input that leaves as an output, or a value that leaves twice.
      Node identity;
      identity.op_type = "Identity";
      identity.inputs = {function.outputs[i]};
      identity.outputs = {prefix + "identity"};
      names[identity.outputs[0]] = call.outputs[i];
      nodes.push_back(std::move(identity));
    }
    for (const auto& name : unnamed) define(name, prefix, names);
    for (auto& node : nodes) {
      OCTAVO_CHECK(rename_node(node, prefix, names));
      bind_attributes(node, call, function);
    }
    return nodes;
  }

  // `names` maps everything that is visible here.
  Status rename_node(Node& node, const std::string& prefix, const Renames& names) {
    for (auto* side : {&node.inputs, &node.outputs}) {
      for (auto& name : *side) {
        if (name.empty()) continue;
        const auto it = names.find(name);
        if (it == names.end())
          return Error{Code::invalid_input, node.describe() + " in its body reads \"" + name +
                                                "\", which the body does not make"};
        name = it->second;
      }
    }
    node.name = unique(nodes_, prefix + (node.name.empty() ? node.op_type : node.name));
    for (auto& [key, value] : node.attributes) {
      if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) {
        auto copy = std::make_shared<Graph>(**sub);
        OCTAVO_CHECK(rename_graph(*copy, prefix, names));
        *sub = std::move(copy);
      }
    }
    return Done{};
  }

  void define(const std::string& name, const std::string& prefix, Renames& names) {
    if (!name.empty()) names[name] = unique(values_, prefix + name);
  }

  Status rename_graph(Graph& graph, const std::string& prefix, Renames names) {
    // A name of the subgraph hides an outer one.
    for (auto& v : graph.inputs) {
      define(v.name, prefix, names);
      v.name = names[v.name];
    }
    for (auto& i : graph.initializers) {
      define(i.name(), prefix, names);
      i.rename(names[i.name()]);
    }
    for (const auto& node : graph.nodes) {
      for (const auto& out : node.outputs) define(out, prefix, names);
    }
    for (auto& node : graph.nodes) OCTAVO_CHECK(rename_node(node, prefix, names));
    for (auto& v : graph.outputs) {
      if (const auto it = names.find(v.name); it != names.end()) v.name = it->second;
    }
    graph.value_info.clear();  // types of values under their old names
    return Done{};
  }

  static void bind_attributes(Node& node, const Node& call, const Function& function) {
    for (auto it = node.attributes.begin(); it != node.attributes.end();) {
      if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&it->second)) {
        for (auto& inner : (*sub)->nodes) bind_attributes(inner, call, function);
      }
      const auto* reference = std::get_if<AttributeReference>(&it->second);
      if (reference == nullptr) {
        ++it;
        continue;
      }
      if (const auto given = call.attributes.find(reference->name);
          given != call.attributes.end()) {
        it->second = Attribute(given->second);
        ++it;
      } else if (const auto fallback = function.attribute_defaults.find(reference->name);
                 fallback != function.attribute_defaults.end()) {
        it->second = Attribute(fallback->second);
        ++it;
      } else {
        it = node.attributes.erase(it);  // IR.md: the node then has no such attribute
      }
    }
  }

  Status merge_imports(const Function& function) {
    for (const auto& [domain, version] : function.opset_imports) {
      const auto [it, is_new] = model_.opset_imports.try_emplace(domain, version);
      if (!is_new && it->second != version)
        return Error{Code::unsupported, "function \"" + function.name + "\" is written for opset " +
                                            std::to_string(version) + " of domain \"" + domain +
                                            "\", the model for " + std::to_string(it->second)};
    }
    return Done{};
  }

  static void collect_domains(const Graph& graph, std::unordered_set<std::string>& domains) {
    for (const auto& node : graph.nodes) {
      domains.insert(node.domain);
      for (const auto& [key, value] : node.attributes) {
        if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value))
          collect_domains(**sub, domains);
      }
    }
  }

  Status finish_imports() {
    std::unordered_set<std::string> used;
    collect_domains(model_.graph, used);
    for (const auto& f : model_.functions) {
      if (!used.contains(f.domain)) model_.opset_imports.erase(f.domain);
    }
    model_.functions.clear();
    return Done{};
  }

  Model& model_;
  std::unordered_map<std::string, const Function*> functions_;
  std::unordered_set<std::string> values_;
  std::unordered_set<std::string> nodes_;
  std::unordered_map<std::string, int> suffixes_;
  std::vector<const Function*> stack_;
  size_t made_ = 0;
};

}  // namespace

Status inline_functions(Model& model) {
  if (model.functions.empty()) return Done{};
  return Inliner(model).run();
}

}  // namespace octavo
