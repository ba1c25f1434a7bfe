#pragma once
// Reads the file that export_node_cases.py writes.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace octavo::conformance {

// nullopt: not a tensor, or of an element type that Tensor does not hold.
using Values = std::vector<std::optional<Tensor>>;

struct DataSet {
  Values inputs;
  Values outputs;
};

struct Case {
  std::string name;
  std::vector<std::byte> model;
  double rtol = 0;
  double atol = 0;
  std::vector<DataSet> data_sets;
};

Result<std::vector<Case>> read_cases(const std::filesystem::path& file);

}  // namespace octavo::conformance
