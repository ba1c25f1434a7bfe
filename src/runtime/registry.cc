#include "runtime/registry.h"

#include <algorithm>

namespace octavo {

void Registry::add(const OpEntry& entry) {
  entries_[{entry.domain, entry.op_type}].push_back(entry);
}

std::span<const OpEntry> Registry::versions(const std::string& domain,
                                            const std::string& op_type) const {
  const auto it = entries_.find({domain, op_type});
  return it == entries_.end() ? std::span<const OpEntry>() : std::span<const OpEntry>(it->second);
}

const OpEntry* Registry::find(const std::string& domain, const std::string& op_type,
                              int64_t version) const {
  const auto all = versions(domain, op_type);
  const auto it = std::find_if(all.begin(), all.end(), [&](const OpEntry& e) {
    return e.since <= version && version <= e.through;
  });
  return it == all.end() ? nullptr : &*it;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> out;
  for (const auto& [key, unused] : entries_)
    out.push_back(key.first.empty() ? key.second : key.first + "." + key.second);
  return out;
}

namespace {

std::string versions_text(std::span<const OpEntry> all) {
  std::string text;
  for (const OpEntry& e : all) {
    if (!text.empty()) text += ", ";
    text += std::to_string(e.since) + " to " + std::to_string(e.through);
  }
  return text;
}

Status check_arity(const OpEntry& entry, const OpInit& init) {
  for (size_t i = 0; i < entry.min_inputs; ++i) {
    if (!init.has_input(i))
      return Error{Code::invalid_input, "input " + std::to_string(i) + " is missing"};
  }
  if (init.inputs() > entry.max_inputs || init.outputs() > entry.max_outputs)
    return Error{Code::invalid_input, "has " + std::to_string(init.inputs()) + " inputs and " +
                                          std::to_string(init.outputs()) +
                                          " outputs, more than the op takes"};
  return Done{};
}

}  // namespace

Result<std::unique_ptr<Op>> Registry::make(OpInit& init) const {
  const Node& node = init.node();
  const auto all = versions(node.domain, node.op_type);
  if (all.empty()) return Error{Code::unsupported, "there is no such op here"};
  const OpEntry* entry = find(node.domain, node.op_type, init.opset());
  if (entry == nullptr)
    return Error{Code::unsupported, "the model imports opset " + std::to_string(init.opset()) +
                                        ", this op is here for " + versions_text(all)};
  OCTAVO_CHECK(check_arity(*entry, init));
  return entry->make(init);
}

}  // namespace octavo
