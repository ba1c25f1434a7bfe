#pragma once
// What the bodies of If and Loop read from the graph around them.

#include <set>
#include <string>

#include "graph/graph.h"

namespace octavo {

// Values of the graph around it that the subgraphs of a node read.
std::set<std::string> captured_values(const Node& node);

}  // namespace octavo
