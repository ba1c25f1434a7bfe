#pragma once
// The patterns of raising, one a file. Each looks up from a value and says what makes it: a piece
// of the raised graph, nothing (another pattern may know it), or an error (it is mine, but a form
// that has no raised op).

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "passes/raise_view.h"

namespace octavo::raise {

// Values that depend on the length alone and that pieces read by position.
class Positions {
 public:
  explicit Positions(const View& view) : view_(view) {}

  // The name under which the raised graph reads `value`, one row a position. Of `width` numbers, or
  // of half as many that stand for both halves. Errors: unsupported.
  Result<std::string> use(const std::string& value, int64_t width);
  // The same of a constant table: row p for position p, or the rows that `places` (a value by
  // length, "" for 0, 1, 2, ...) picks.
  Result<std::string> use_table(const std::string& table, const std::string& places, int64_t width);
  const std::vector<PositionValue>& values() const { return values_; }
  // The nodes that make them out of the graph's own inputs.
  Model model(const Model& original) const;

 private:
  struct Source {
    bool table = false;
    std::string places;
    bool twice = false;  // half as wide
  };
  void add_nodes(Graph& graph, size_t i, const std::string& length) const;

  const View& view_;
  std::vector<PositionValue> values_;
  std::vector<Source> sources_;  // of each
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

// x * cos + rotate_half(x) * sin, on any layout; cos and sin are values by length, or tables whose
// rows `places` picks ("": row p for position p).
struct Rotation {
  std::string x, cos, sin;
  bool tables = false;
  std::string places;
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

// A product with a constant matrix, what is multiplied into x before it and added after it.
struct Linear {
  std::string x;
  std::string_view kind;
  Initializer weight;
  bool transposed = false;
  int64_t k = 0, n = 0;
  std::optional<Initializer> scale, zero_point, bias, factor;
  std::string_view scales;                      // of kind "int8": raised::kPerTensor if empty
  std::map<std::string, Attribute> attributes;  // of kind "nbits"
};
std::optional<Linear> match_linear(const View& view, const std::string& value);
// DynamicQuantizeLinear and MatMulInteger in their forms, without the bias where it is an Add.
std::optional<Linear> match_integer_product(const View& view, const std::string& value);
// The same with a scale a row, as passes/quantize_rows.h writes it.
std::optional<Linear> match_row_product(const View& view, const std::string& value);
// The factors of a product of products, by their values' names, `depth` products deep.
void factors_of(const View& view, const std::string& value, int depth,
                std::vector<std::string>& out);
// A constant scalar, or one number a column.
std::optional<Initializer> by_column(const View& view, const std::string& value, int64_t columns);
// An int8 or uint8 weight; without scale.
std::optional<Linear> integer_weights(const View& view, const std::string& x, const std::string& w,
                                      const std::string& zero);
// Columns [begin, end) alone; nothing where the weights cannot be cut.
std::optional<Linear> take_columns(const Linear& linear, int64_t begin, int64_t end);
// The elements [begin, end) of a constant vector, the rows of a constant matrix.
Initializer take_elements(const Initializer& vector, int64_t begin, int64_t end);
Initializer take_rows(const Initializer& matrix, int64_t begin, int64_t end);
void add_linear(const View& view, Linear linear, const std::string& output, Piece& piece);
// The Linear that makes `value`, with a bias more, as part of the piece; its output's name. Errors:
// unsupported (no Linear, or it has a bias).
Result<std::string> add_biased_linear(const View& view, const std::string& value,
                                      const Initializer& bias, Piece& piece);
bool is_linear(const View& view, const std::string& value);

// --- attention ---

// One of Q, K, V.
struct Side {
  std::string linear;  // rows
  int64_t width = 0;
  std::string own;  // where the piece holds a Linear made for this attention alone: its output
  const std::string& output() const { return own.empty() ? linear : own; }
  double scale = 1;
  std::optional<Rotation> rotation;
  std::optional<RmsNorm> norm;
};
// One step up through a node that moves or copies numbers; empty: none is there.
std::string moved_from(const View& view, const std::string& value);
// Up through such steps and factors, which multiply `scale`.
std::string climb(const View& view, std::string value, double& scale);
// From a value up to the Linear that makes it, through layouts, copies of heads, factors, a norm
// and a rotation.
Result<Side> climb_side(const View& view, const std::string& value);
struct Heads {
  int64_t heads, kv_heads, head_dim;
};
Match make_attention(Context& c, const std::string& value, const Side& q, const Side& k,
                     const Side& v, const Heads& heads, double scale, const Sight& sight,
                     Piece piece);

// --- the patterns ---

Match raise_embed(Context& c, const std::string& value);
Match raise_norm(Context& c, const std::string& value);
Match raise_attention(Context& c, const std::string& value);
Match raise_linear(Context& c, const std::string& value);
Match raise_elementwise(Context& c, const std::string& value);
Match raise_residual(Context& c, const std::string& value);
// Of com.microsoft: the skip norms and EmbedLayerNormalization; BiasGelu and FastGelu with a bias;
// MultiHeadAttention, GroupQueryAttention and Attention.
Match raise_contrib_norm(Context& c, const std::string& value);
Match raise_contrib_gelu(Context& c, const std::string& value);
Match raise_contrib_attention(Context& c, const std::string& value);

}  // namespace octavo::raise
