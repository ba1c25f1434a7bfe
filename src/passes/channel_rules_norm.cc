// y = normalised(x) * gain + bias: gain and bias take the factor, x is not touched.

#include <array>

#include "passes/channel_rules.h"

namespace octavo {

namespace {

// Where a norm keeps its gain and bias; 0 means it has none (input 0 is never one).
struct Affine {
  std::string_view domain, op;
  size_t gain, bias;
};
constexpr std::array<Affine, 8> kNorms = {{
    {"", "LayerNormalization", 1, 2},
    {"", "RMSNormalization", 1, 0},
    // ORT's fusions put this one into the standard domain, though the standard does not know it.
    {"", "SimplifiedLayerNormalization", 1, 0},
    {"com.microsoft", "SimplifiedLayerNormalization", 1, 0},
    {"com.microsoft", "LayerNormalization", 1, 2},
    {"com.microsoft", "SkipLayerNormalization", 2, 3},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 2, 0},
    {"com.microsoft", "EmbedLayerNormalization", 5, 6},
}};

const Affine* find_norm(std::string_view domain, std::string_view op) {
  for (const Affine& norm : kNorms) {
    if (norm.domain == domain && norm.op == op) return &norm;
  }
  return nullptr;
}

Status norm(ChannelTrace& trace, size_t node, size_t output, const ChannelMap& map) {
  const Node& n = trace.node(node);
  const auto refuse = [&](const std::string& why) {
    return Error{Code::unsupported, n.describe() + ": " + why};
  };
  if (output != 0) return refuse("only its first output has a gain");
  const Affine& at = *find_norm(n.domain, n.op_type);
  for (const size_t input : {at.gain, at.bias}) {
    const bool there = input != 0 && input < n.inputs.size() && !n.inputs[input].empty();
    if (!there && input == at.gain) return refuse("has no gain");
    if (!there) continue;
    OCTAVO_TRY(const Shape shape, trace.shape(n.inputs[input]));
    OCTAVO_TRY(const ChannelMap own, for_operand(map, shape, false).within(n.describe()));
    OCTAVO_CHECK(trace.divide_input(node, input, own));
  }
  return Done{};
}

}  // namespace

ChannelRule norm_rule(std::string_view domain, std::string_view op_type) {
  return find_norm(domain, op_type) != nullptr ? norm : nullptr;
}

}  // namespace octavo
