#pragma once
// Constants as readers of a graph like them: named after their content, each stored once.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace octavo {

// "/constants/f32_0.5", "/constants/i64_0_0_9_64"; larger tensors and those with two or more axes
// are named after type and shape, "/constants/i64_2x8".
std::string constant_name(const Tensor& tensor);

// Same type, shape and bytes.
bool same_content(const Tensor& a, const Tensor& b);

// The value of a Constant node (value, value_float(s), value_int(s)); undefined for other nodes and
// for kinds we do not model (strings, sparse).
Tensor constant_value(const Node& node);

// The elements of an int64 or int32 tensor; nullopt of any other.
std::optional<std::vector<int64_t>> integer_values(const Tensor& tensor);

// Turns the Constant nodes of the graph (subgraphs keep theirs) into initializers, one for all that
// hold the same type, shape and bytes. A Constant that is a graph output stays.
void hoist_constants(Graph& graph);

}  // namespace octavo
