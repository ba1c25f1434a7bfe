// y = f(a, b) element by element: which operands must be divided for y / s.
//   a * b      one of them          a / b   a, or b multiplied
//   a + b      both                 relu(a), -a, |a|: a, because s > 0

#include <algorithm>
#include <array>
#include <utility>

#include "passes/channel_rules.h"

namespace octavo {

namespace {

Error refuse(std::string why) { return {Code::unsupported, std::move(why)}; }

// A constant that does not vary along the channels could be written out as a vector, but a scalar
// is a scalar for a reason: 0.5 in GELU or 1/sqrt(d) in attention is what a runtime recognises the
// pattern by, and losing its fused kernel costs more than the explicit Mul we try to avoid.
bool is_plain_factor(const ChannelTrace& trace, const std::string& value, const ChannelMap& map) {
  const auto shape = trace.shape(value);
  return trace.is_constant(value) && shape && !for_operand(map, *shape, false);
}

Status divide_operand(ChannelTrace& trace, size_t node, size_t input, const ChannelMap& map,
                      bool may_grow = false) {
  OCTAVO_TRY(const Shape shape, trace.shape(trace.node(node).inputs[input]));
  OCTAVO_TRY(const ChannelMap own, for_operand(map, shape, may_grow));
  return trace.divide_input(node, input, own, may_grow);
}

Status mul(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const auto& in = trace.node(node).inputs;
  if (in.size() != 2) return refuse(trace.node(node).describe() + " has not two inputs");
  std::array<size_t, 2> order = {0, 1};
  if (trace.comes_from_constants(in[1])) std::swap(order[0], order[1]);  // the gain first
  std::string why;
  for (const size_t input : order) {
    if (is_plain_factor(trace, in[input], map)) continue;
    Status done = divide_operand(trace, node, input, map);
    if (done) return done;
    if (done.error().code != Code::unsupported) return done;
    why += (why.empty() ? "" : "; ") + done.error().message;
  }
  return refuse(why.empty() ? trace.node(node).describe() + " has only scalar factors" : why);
}

Status div(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  const auto& in = trace.node(node).inputs;
  if (in.size() != 2) return refuse(trace.node(node).describe() + " has not two inputs");
  if (trace.is_constant(in[1]) && !is_plain_factor(trace, in[1], map))
    return trace.multiply_constant(node, 1, map);
  return divide_operand(trace, node, 0, map);
}

Status divide_all(ChannelTrace& trace, size_t node, size_t first, const ChannelMap& map) {
  const auto& in = trace.node(node).inputs;
  // Constants last: they hardly ever refuse, and the reason worth reading is the other operand's.
  for (const bool constants : {false, true}) {
    for (size_t i = first; i < in.size(); ++i) {
      if (trace.is_constant(in[i]) != constants) continue;
      OCTAVO_CHECK(divide_operand(trace, node, i, map, constants));
    }
  }
  return Done{};
}

Status sum(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  return divide_all(trace, node, 0, map);
}

Status where(ChannelTrace& trace, size_t node, size_t /*output*/, const ChannelMap& map) {
  return divide_all(trace, node, 1, map);
}

Status first_input(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  if (output != 0) return refuse(trace.node(node).describe() + ": not its first output");
  return trace.divide_input(node, 0, map);
}

Status cast(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const auto to = static_cast<DType>(trace.node(node).int_or("to", 0));
  // A rounding or an integer in between would see the division.
  if (to != DType::f32 && to != DType::f64)
    return refuse(trace.node(node).describe() + " rounds to " + std::string(dtype_name(to)));
  return first_input(trace, node, output, map);
}

Status dropout(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const auto& in = trace.node(node).inputs;
  if (in.size() > 2 && !in[2].empty())
    return refuse(trace.node(node).describe() + " may be in training mode");
  return first_input(trace, node, output, map);
}

}  // namespace

ChannelRule elementwise_rule(std::string_view domain, std::string_view op_type) {
  static constexpr std::array<std::pair<std::string_view, ChannelRule>, 13> kRules = {{
      {"Mul", mul},
      {"Div", div},
      {"Add", sum},
      {"Sub", sum},
      {"Sum", sum},
      {"Where", where},
      {"Neg", first_input},
      {"Abs", first_input},
      {"Relu", first_input},
      {"LeakyRelu", first_input},
      {"PRelu", first_input},
      {"Cast", cast},
      {"Dropout", dropout},
  }};
  if (!domain.empty()) return nullptr;
  for (const auto& [name, rule] : kRules) {
    if (name == op_type) return rule;
  }
  return nullptr;
}

}  // namespace octavo
