#pragma once
// Dynamic INT8 in the form of ONNX Runtime's quantize_dynamic: the same nodes, names, scales and
// bytes.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

enum class WeightType : uint8_t { qint8, quint8 };

struct QuantizeOptions {
  bool per_channel = false;
  bool reduce_range = false;  // 7-bit weights
  WeightType weight_type = WeightType::qint8;
  std::vector<std::string> op_types = {"MatMul"};
  std::vector<std::string> exclude;  // ECMAScript regexes searched for in node names
  bool external_data = false;
};

struct QuantizeReport {
  struct Quantized {
    std::string node, weight;
    int64_t weight_bytes_before = 0, weight_bytes_after = 0;
  };
  struct Kept {
    std::string node, reason;
  };
  std::vector<Quantized> quantized;
  std::vector<Kept> kept;  // nodes of op_types that stayed as they were, and why
  std::vector<std::string> warnings;
  uint64_t bytes_before = 0, bytes_after = 0;  // of all initializers
};

// Errors: invalid_input when nothing would be quantized (the message says why, node by node).
Result<QuantizeReport> quantize_model(const std::filesystem::path& input,
                                      const std::filesystem::path& output,
                                      const QuantizeOptions& options,
                                      const Progress& progress = {});

}  // namespace octavo
