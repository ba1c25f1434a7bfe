#pragma once
// Carries "divide this value by one factor a channel" backwards to the constants that can take it,
// leaving every other value that anybody reads as it was. Structure only: which constants, which of
// their elements, which channels must then share a factor. Nothing is changed until somebody
// applies the edits, and a trace that fails says which node stopped it.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "passes/calibration_stats.h"
#include "passes/channel_map.h"

namespace octavo {

struct Edge {
  size_t node;   // index into graph.nodes
  size_t input;  // which input of it
  auto operator<=>(const Edge&) const = default;
};

// The constant that `edge` reads is to be divided (or multiplied) by the factor of each element's
// channel.
struct ConstantEdit {
  Edge edge;
  ChannelMap map;  // of the constant's rank; broadcasts to it, or grows it
  bool multiply = false;
};

class ChannelTrace {
 public:
  // All three must outlive the trace.
  ChannelTrace(const Graph& graph, const GraphIndex& index, const ValueShapes& shapes)
      : graph_(graph), index_(index), shapes_(shapes) {}

  // Divides `value` for the sake of `readers`: every other reader must be one that sees no
  // difference. Errors (refusals) leave edits() and ties() as they were.
  Status divide(const std::string& value, const ChannelMap& map, const std::vector<Edge>& readers);

  const std::vector<ConstantEdit>& edits() const { return edits_; }
  const std::vector<ChannelTie>& ties() const { return ties_; }

  // --- for the rules, one an op (channel_rules.h) ---
  // Divides an input of a node; nothing to do when the map is untouched. The map has the rank of
  // that input.
  Status divide_input(size_t node, size_t input, const ChannelMap& map, bool may_grow = false);
  // The other way round, constants only.
  Status multiply_constant(size_t node, size_t input, const ChannelMap& map);
  // Undoes what a refused branch did before another one is tried.
  struct Mark {
    size_t edits, ties;
  };
  Mark mark() const { return {edits_.size(), ties_.size()}; }
  void rollback(Mark mark);

  const Node& node(size_t n) const { return graph_.nodes[n]; }
  const std::vector<GraphIndex::Use>& uses(const std::string& value) const {
    return index_.uses(value);
  }
  bool is_graph_output(const std::string& value) const { return index_.is_graph_output(value); }
  std::vector<ChannelTie>& ties() { return ties_; }
  bool is_constant(const std::string& value) const;           // an initializer or a Constant node
  bool comes_from_constants(const std::string& value) const;  // so is everything above it
  // Of a constant, or as observed in every run. Errors: never observed.
  Result<std::vector<Shape>> shapes(const std::string& value) const;
  Result<Shape> shape(const std::string& value) const;  // of the first run
  // Errors: differs from run to run.
  Result<int64_t> fixed_size(const std::string& value, size_t axis) const;
  // The elements of an integer constant. Errors: not a constant.
  Result<std::vector<int64_t>> integers(const std::string& value) const;

 private:
  Status divide_value(const std::string& value, const ChannelMap& map,
                      const std::vector<Edge>& readers, bool may_grow);
  Status check_readers(const std::string& value, const ChannelMap& map,
                       const std::vector<Edge>& readers) const;
  Status edit_constant(const std::string& value, const ChannelMap& map, Edge edge, bool may_grow,
                       bool multiply);

  const Graph& graph_;
  const GraphIndex& index_;
  const ValueShapes& shapes_;
  std::vector<ConstantEdit> edits_;
  std::vector<ChannelTie> ties_;
  int depth_ = 0;
};

// The constant that a value is; null tensor errors are the initializer's own. nullopt: not a
// constant.
struct ConstantRef {
  const Initializer* initializer = nullptr;  // or
  const Tensor* tensor = nullptr;            // of a Constant node
  DType dtype() const { return initializer != nullptr ? initializer->dtype() : tensor->dtype(); }
  const Shape& shape() const {
    return initializer != nullptr ? initializer->shape() : tensor->shape();
  }
  Result<Tensor> load() const {
    return initializer != nullptr ? initializer->tensor() : Result<Tensor>(*tensor);
  }
};
std::optional<ConstantRef> find_constant(const Graph& graph, const GraphIndex& index,
                                         const std::string& value);

}  // namespace octavo
