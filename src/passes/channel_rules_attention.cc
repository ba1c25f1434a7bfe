// The fused attention ops of com.microsoft: each output channel is a weighted mean over tokens of
// one value channel, so the factor passes to the value rows (or to the value part of packed weights
// and biases). Query and key are not touched.

#include <string>

#include "passes/channel_rules.h"

namespace octavo {

namespace {

Error refuse(const ChannelTrace& trace, size_t node, const std::string& why) {
  return {Code::unsupported, trace.node(node).describe() + ": " + why};
}

bool has_input(const Node& n, size_t input) {
  return n.inputs.size() > input && !n.inputs[input].empty();
}

// A key/value cache holds value rows too: whoever feeds or reads it would see the division.
Status check_no_cache(const ChannelTrace& trace, size_t node, std::initializer_list<size_t> past) {
  const Node& n = trace.node(node);
  for (const size_t input : past) {
    if (has_input(n, input)) return refuse(trace, node, "has a value cache");
  }
  for (size_t output = 1; output < n.outputs.size(); ++output) {
    const std::string& present = n.outputs[output];
    if (!present.empty() && (trace.is_graph_output(present) || !trace.uses(present).empty()))
      return refuse(trace, node, "has a value cache");
  }
  return Done{};
}

// The last axis of a packed tensor: untouched up to the value part.
ChannelMap packed(const ChannelMap& value, size_t rank, int64_t before) {
  ChannelMap all{Shape(rank, 1), {}};
  all.ids.assign(static_cast<size_t>(before), ChannelMap::kUntouched);
  all.ids.insert(all.ids.end(), value.ids.begin(), value.ids.end());
  all.dims.back() = static_cast<int64_t>(all.ids.size());
  return all;
}

Status check_map(const ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  if (output != 0) return refuse(trace, node, "only its first output is attention");
  if (map.dims.size() != 3 || map.dims[0] != 1 || map.dims[1] != 1)
    return refuse(trace, node, "the factor varies along tokens");
  return Done{};
}

Status multi_head(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_CHECK(check_map(trace, node, output, map));
  OCTAVO_CHECK(check_no_cache(trace, node, {6, 7}));
  if (!has_input(n, 2)) return refuse(trace, node, "query, key and value are packed");
  OCTAVO_TRY(const Shape value, trace.shape(n.inputs[2]));
  if (value.size() != 3) return refuse(trace, node, "its value is not [batch, sequence, hidden]");
  OCTAVO_TRY(const ChannelMap own, for_operand(map, value, false));
  OCTAVO_CHECK(trace.divide_input(node, 2, own));
  if (!has_input(n, 3)) return Done{};
  OCTAVO_TRY(const Shape bias, trace.shape(n.inputs[3]));
  if (bias.size() != 1 || bias[0] < map.dims[2]) return refuse(trace, node, "unexpected bias");
  return trace.divide_input(node, 3, packed(map, 1, bias[0] - map.dims[2]));
}

Status grouped_query(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_CHECK(check_map(trace, node, output, map));
  OCTAVO_CHECK(check_no_cache(trace, node, {3, 4}));
  if (!has_input(n, 2)) return refuse(trace, node, "query, key and value are packed");
  const int64_t heads = n.int_or("num_heads", 0);
  const int64_t kv_heads = n.int_or("kv_num_heads", 0);
  if (heads <= 0 || kv_heads <= 0 || heads % kv_heads != 0 || map.dims[2] % heads != 0)
    return refuse(trace, node, "unexpected number of heads");
  // Query head h reads value head h / (heads / kv_heads): all of a group share a factor.
  const int64_t width = map.dims[2] / heads;
  std::vector<int64_t> sources(map.ids.size());
  for (size_t c = 0; c < sources.size(); ++c) {
    const int64_t head = static_cast<int64_t>(c) / width;
    sources[c] = head / (heads / kv_heads) * width + static_cast<int64_t>(c) % width;
  }
  OCTAVO_TRY(const ChannelMap own,
             through_selection(map, 2, sources, kv_heads * width, trace.ties()));
  return trace.divide_input(node, 2, own);
}

Status packed_attention(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_CHECK(check_map(trace, node, output, map));
  OCTAVO_CHECK(check_no_cache(trace, node, {4}));
  if (!has_input(n, 1)) return refuse(trace, node, "has no weights");
  OCTAVO_TRY(const Shape weights, trace.shape(n.inputs[1]));
  if (weights.size() != 2 || weights[1] < map.dims[2]) return refuse(trace, node, "bad weights");
  OCTAVO_CHECK(trace.divide_input(node, 1, packed(map, 2, weights[1] - map.dims[2])));
  if (!has_input(n, 2)) return Done{};
  return trace.divide_input(node, 2, packed(map, 1, weights[1] - map.dims[2]));
}

}  // namespace

ChannelRule attention_rule(std::string_view domain, std::string_view op_type) {
  if (domain != "com.microsoft") return nullptr;
  if (op_type == "MultiHeadAttention") return multi_head;
  if (op_type == "GroupQueryAttention") return grouped_query;
  if (op_type == "Attention") return packed_attention;
  return nullptr;
}

}  // namespace octavo
