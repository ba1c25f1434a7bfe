#pragma once
// The patterns of raising, one a file. Each looks up from a value and says what makes it: a piece
// of the raised graph, nothing (another pattern may know it), or an error (it is mine, but a form
// that has no raised op).

#include <optional>
#include <string>
#include <vector>

#include "passes/raise_view.h"

namespace octavo::raise {

// Values that depend on the length alone and that pieces read by position.
class Positions {
 public:
  explicit Positions(const View& view) : view_(view) {}

  // The name under which the raised graph reads `value`, [.., width] with one row a position.
  // Errors: unsupported.
  Result<std::string> use(const std::string& value, int64_t width);
  const std::vector<PositionValue>& values() const { return values_; }
  // The nodes that make them out of the graph's own inputs.
  Model model(const Model& original) const;

 private:
  const View& view_;
  std::vector<PositionValue> values_;
};

// Nodes of the raised graph; the last one makes the value asked for. Values of the original graph
// that they read keep their names, brought to rows by View::rows().
struct Piece {
  std::vector<Node> nodes;
  std::vector<Initializer> constants;
};
using Match = Result<std::optional<Piece>>;

struct Context {
  const View& view;
  Positions& positions;
};

// --- helpers of the patterns ---

Node raised_node(std::string_view op, std::vector<std::string> inputs, const std::string& output);
// Both operands of a commutative op, in the two orders.
struct Operands {
  std::string a, b;
};
std::vector<Operands> both_orders(const Node& node);

// x / sqrt(mean(x^2) + epsilon) * gain, on any layout.
struct RmsNorm {
  std::string x;
  Initializer gain;
  double epsilon = 0;
};
std::optional<RmsNorm> match_rms_norm(const View& view, const std::string& value);

// x * cos + rotate_half(x) * sin, on any layout; cos and sin are values by length.
struct Rotation {
  std::string x, cos, sin;
};
std::optional<Rotation> match_rotation(const View& view, const std::string& value);

// What a mask lets through.
struct Sight {
  bool causal = false;
  int64_t window = 0;
};
// A mask as it enters the scores: added, or the condition of a Where that keeps scores where it is
// `keep`.
struct Mask {
  std::string value;
  bool added = true;
  bool keep = true;
};
Result<Sight> read_masks(const View& view, const std::vector<Mask>& masks);

// Whether the value is the output of a product with a constant matrix (with its bias).
bool is_linear(const View& view, const std::string& value);

// --- the patterns ---

Match raise_embed(Context& c, const std::string& value);
Match raise_norm(Context& c, const std::string& value);
Match raise_attention(Context& c, const std::string& value);
Match raise_linear(Context& c, const std::string& value);
Match raise_elementwise(Context& c, const std::string& value);
Match raise_residual(Context& c, const std::string& value);

}  // namespace octavo::raise
