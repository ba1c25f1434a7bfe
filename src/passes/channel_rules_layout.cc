// Ops that move elements without touching them: the map moves with them.

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "passes/channel_rules.h"

namespace octavo {

namespace {

Error refuse(const ChannelTrace& trace, size_t node, const std::string& why) {
  return {Code::unsupported, trace.node(node).describe() + ": " + why};
}

Status identity(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  return trace.divide_input(node, 0, map);
}

Status transpose(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  std::vector<int64_t> perm = trace.node(node).ints_or("perm", {});
  if (perm.empty()) {
    for (size_t i = map.dims.size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  }
  OCTAVO_TRY(const ChannelMap in, through_transpose(map, perm).within(trace.node(node).describe()));
  return trace.divide_input(node, 0, in);
}

Status reshape(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const auto before, trace.shapes(n.inputs[0]));
  OCTAVO_TRY(const auto after, trace.shapes(n.outputs[output]));
  OCTAVO_TRY(const ChannelMap in, through_reshape(map, before, after).within(n.describe()));
  return trace.divide_input(node, 0, in);
}

Status expand(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const Shape shape, trace.shape(n.inputs[0]));
  OCTAVO_TRY(const ChannelMap in, through_expand(map, shape, trace.ties()).within(n.describe()));
  return trace.divide_input(node, 0, in);
}

Status tile(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const Node& n = trace.node(node);
  ChannelMap in = map;
  for (size_t axis = 0; axis < map.dims.size(); ++axis) {
    if (map.dims[axis] == 1) continue;
    OCTAVO_TRY(const int64_t size, trace.fixed_size(n.inputs[0], axis));
    std::vector<int64_t> sources(static_cast<size_t>(map.dims[axis]));
    for (size_t i = 0; i < sources.size(); ++i) sources[i] = static_cast<int64_t>(i) % size;
    OCTAVO_TRY(in, through_selection(in, axis, sources, size, trace.ties()).within(n.describe()));
  }
  return trace.divide_input(node, 0, in);
}

Status concat(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const Node& n = trace.node(node);
  const auto rank = static_cast<int64_t>(map.dims.size());
  const int64_t wanted = n.int_or("axis", 0);
  const auto axis = static_cast<size_t>(wanted < 0 ? wanted + rank : wanted);
  if (axis >= map.dims.size()) return refuse(trace, node, "invalid axis");
  int64_t at = 0;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    ChannelMap part = map;
    if (map.dims[axis] != 1) {
      OCTAVO_TRY(const int64_t size, trace.fixed_size(n.inputs[i], axis));
      if (at + size > map.dims[axis]) return refuse(trace, node, "parts exceed the whole");
      std::vector<int64_t> positions(static_cast<size_t>(size));
      for (int64_t& p : positions) p = at++;
      part = select(map, axis, positions);
    }
    OCTAVO_CHECK(trace.divide_input(node, i, part));
  }
  return Done{};
}

// Where the map is the same all along the selected axis and nobody else reads the input, its other
// positions may be divided too: no size or index need be known.
Status whole_input(ChannelTrace& trace, size_t node, size_t axis, size_t dropped,
                   const ChannelMap& map) {
  const Node& n = trace.node(node);
  if (axis + dropped > map.dims.size()) return refuse(trace, node, "has an unexpected rank");
  for (size_t i = 0; i < dropped; ++i) {
    if (map.dims[axis + i] != 1) return refuse(trace, node, "selects channels in an unknown way");
  }
  if (n.op_type == "Split" && n.outputs.size() != 1)
    return refuse(trace, node, "splits channels in an unknown way");
  ChannelMap in = map;
  const auto at = in.dims.begin() + static_cast<std::ptrdiff_t>(axis);
  in.dims.erase(at, at + static_cast<std::ptrdiff_t>(dropped));
  in.dims.insert(in.dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  return trace.divide_input(node, 0, in);
}

Result<size_t> axis_of(const ChannelTrace& trace, size_t node, int64_t axis) {
  OCTAVO_TRY(const Shape shape, trace.shape(trace.node(node).inputs[0]));
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return refuse(trace, node, "invalid axis");
  return static_cast<size_t>(axis);
}

Status gather(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const size_t axis, axis_of(trace, node, n.int_or("axis", 0)));
  OCTAVO_TRY(const Shape indices, trace.shape(n.inputs[1]));
  const Status whole = whole_input(trace, node, axis, indices.size(), map);
  if (whole) return whole;
  const auto selection = selection_of(trace, node, output);
  if (!selection) return whole;
  ChannelMap full = map;
  if (selection->drops_axis)
    full.dims.insert(full.dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  OCTAVO_TRY(const ChannelMap in,
             through_selection(full, axis, selection->sources, selection->size, trace.ties())
                 .within(n.describe()));
  return trace.divide_input(node, 0, in);
}

Status slice_or_split(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  std::vector<int64_t> axes = n.ints_or("axes", {0});
  if (n.op_type == "Split") axes = {n.int_or("axis", 0)};
  if (n.inputs.size() > 3 && !n.inputs[3].empty()) {
    OCTAVO_TRY(axes, trace.integers(n.inputs[3]));
  }
  if (axes.size() != 1) return refuse(trace, node, "slices more than one axis");
  OCTAVO_TRY(const size_t axis, axis_of(trace, node, axes[0]));
  const Status whole = whole_input(trace, node, axis, 1, map);
  if (whole) return whole;
  const auto selection = selection_of(trace, node, output);
  if (!selection) return whole;
  OCTAVO_TRY(const ChannelMap in,
             through_selection(map, axis, selection->sources, selection->size, trace.ties())
                 .within(n.describe()));
  return trace.divide_input(node, 0, in);
}

Result<Selection> slice_selection(const ChannelTrace& trace, size_t node) {
  const Node& n = trace.node(node);
  const auto list = [&](size_t input, const std::string& attribute,
                        std::vector<int64_t> fallback) -> Result<std::vector<int64_t>> {
    if (n.inputs.size() > input && !n.inputs[input].empty()) return trace.integers(n.inputs[input]);
    return n.ints_or(attribute, std::move(fallback));
  };
  OCTAVO_TRY(const auto starts, list(1, "starts", {}));
  OCTAVO_TRY(const auto ends, list(2, "ends", {}));
  OCTAVO_TRY(const auto axes, list(3, "axes", {0}));
  OCTAVO_TRY(const auto steps, list(4, "steps", {1}));
  if (starts.size() != 1 || ends.size() != 1 || axes.size() != 1 || steps.size() != 1)
    return refuse(trace, node, "slices more than one axis");
  OCTAVO_TRY(const size_t axis, axis_of(trace, node, axes[0]));
  OCTAVO_TRY(const int64_t size, trace.fixed_size(n.inputs[0], axis));
  if (steps[0] <= 0) return refuse(trace, node, "goes backwards");
  const auto clamp = [size](int64_t p) {
    return std::clamp<int64_t>(p < 0 ? p + size : p, 0, size);
  };
  Selection selection{axis, {}, size, false};
  for (int64_t p = clamp(starts[0]); p < clamp(ends[0]); p += std::min(steps[0], size + 1))
    selection.sources.push_back(p);
  return selection;
}

Result<Selection> split_selection(const ChannelTrace& trace, size_t node, size_t output) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const size_t axis, axis_of(trace, node, n.int_or("axis", 0)));
  OCTAVO_TRY(const int64_t size, trace.fixed_size(n.inputs[0], axis));
  std::vector<int64_t> parts = n.ints_or("split", {});
  if (n.inputs.size() > 1 && !n.inputs[1].empty()) {
    OCTAVO_TRY(parts, trace.integers(n.inputs[1]));
  }
  if (parts.empty()) {  // equal parts, the last one smaller
    const auto count = static_cast<int64_t>(n.outputs.size());
    const int64_t each = (size + count - 1) / count;
    for (int64_t i = 0; i < count; ++i)
      parts.push_back(std::clamp<int64_t>(size - i * each, 0, each));
  }
  if (output >= parts.size()) return refuse(trace, node, "has more outputs than parts");
  int64_t at = 0;
  for (size_t i = 0; i < output; ++i) at += parts[i];
  Selection selection{axis, {}, size, false};
  for (int64_t i = 0; i < parts[output]; ++i) selection.sources.push_back(at + i);
  return selection;
}

Result<Selection> gather_selection(const ChannelTrace& trace, size_t node) {
  const Node& n = trace.node(node);
  OCTAVO_TRY(const size_t axis, axis_of(trace, node, n.int_or("axis", 0)));
  OCTAVO_TRY(const Shape indices, trace.shape(n.inputs[1]));
  OCTAVO_TRY(std::vector<int64_t> sources, trace.integers(n.inputs[1]));
  if (indices.size() > 1) return refuse(trace, node, "has indices of more than one axis");
  OCTAVO_TRY(const int64_t size, trace.fixed_size(n.inputs[0], axis));
  for (int64_t& s : sources) s = s < 0 ? s + size : s;
  return Selection{axis, std::move(sources), size, indices.empty()};
}

}  // namespace

Result<Selection> selection_of(const ChannelTrace& trace, size_t node, size_t output) {
  const std::string& op = trace.node(node).op_type;
  if (op == "Slice") return slice_selection(trace, node);
  if (op == "Split") return split_selection(trace, node, output);
  return gather_selection(trace, node);
}

ChannelRule layout_rule(std::string_view domain, std::string_view op_type) {
  static constexpr std::array<std::pair<std::string_view, ChannelRule>, 12> kRules = {{
      {"Identity", identity},
      {"Transpose", transpose},
      {"Reshape", reshape},
      {"Flatten", reshape},
      {"Squeeze", reshape},
      {"Unsqueeze", reshape},
      {"Expand", expand},
      {"Tile", tile},
      {"Concat", concat},
      {"Gather", gather},
      {"Slice", slice_or_split},
      {"Split", slice_or_split},
  }};
  if (!domain.empty()) return nullptr;
  for (const auto& [name, rule] : kRules) {
    if (name == op_type) return rule;
  }
  return nullptr;
}

}  // namespace octavo
