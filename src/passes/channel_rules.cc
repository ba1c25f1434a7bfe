#include "passes/channel_rules.h"

namespace octavo {

ChannelRule find_channel_rule(std::string_view domain, std::string_view op_type) {
  for (const auto table : {elementwise_rule, layout_rule, linear_rule, norm_rule, attention_rule}) {
    if (const ChannelRule rule = table(domain, op_type)) return rule;
  }
  return nullptr;
}

bool reads_untouched(const ChannelTrace& trace, const GraphIndex::Use& use, const ChannelMap& map) {
  if (use.input == GraphIndex::kNone) return false;  // inside a subgraph
  const Node& reader = trace.node(use.node);
  if (!reader.domain.empty()) return false;
  if (reader.op_type == "Shape" || reader.op_type == "Size") return true;
  const bool selects =
      reader.op_type == "Slice" || reader.op_type == "Gather" || reader.op_type == "Split";
  if (!selects || use.input != 0) return false;
  for (size_t output = 0; output < reader.outputs.size(); ++output) {
    if (reader.outputs[output].empty()) continue;
    const auto selection = selection_of(trace, use.node, output);
    if (!selection || selection->axis >= map.dims.size()) return false;
    const int64_t have = map.dims[selection->axis];
    if (have != 1 && have != selection->size) return false;
    if (!select(map, selection->axis, selection->sources).untouched()) return false;
  }
  return true;
}

}  // namespace octavo
