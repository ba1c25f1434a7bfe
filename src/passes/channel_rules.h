#pragma once
// How one op lets a division pass: rules by op type, used by ChannelTrace alone. A rule is given
// the map of one of its node's outputs and must divide the inputs so that exactly that output is
// divided. How to add one: docs/adding-a-pass.md.

#include <string_view>

#include "base/result.h"
#include "passes/channel_map.h"
#include "passes/channel_trace.h"

namespace octavo {

// Errors are refusals; edits and ties of a refused rule are undone by the caller.
using ChannelRule = Status (*)(ChannelTrace& trace, size_t node, size_t output,
                               const ChannelMap& map);

// Null when there is none: the op is not linear in each channel, or nobody taught it to us.
ChannelRule find_channel_rule(std::string_view domain, std::string_view op_type);

// The tables behind find_channel_rule, one a file.
ChannelRule elementwise_rule(std::string_view domain, std::string_view op_type);
ChannelRule layout_rule(std::string_view domain, std::string_view op_type);
ChannelRule linear_rule(std::string_view domain, std::string_view op_type);
ChannelRule norm_rule(std::string_view domain, std::string_view op_type);
ChannelRule attention_rule(std::string_view domain, std::string_view op_type);

// Whether a reader of a divided value reads only what the map leaves untouched, or only its shape.
bool reads_untouched(const ChannelTrace& trace, const GraphIndex::Use& use, const ChannelMap& map);

// The input positions that a Slice, Gather or Split output reads along one axis.
struct Selection {
  size_t axis;
  std::vector<int64_t> sources;
  int64_t size;             // of the input on that axis
  bool drops_axis = false;  // Gather with a scalar index
};
Result<Selection> selection_of(const ChannelTrace& trace, size_t node, size_t output);

}  // namespace octavo
