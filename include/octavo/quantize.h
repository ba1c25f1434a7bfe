#pragma once
// Dynamic INT8: in the form of ONNX Runtime's quantize_dynamic (the same nodes, names, scales and
// bytes), or with a scale for every row of activations.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

enum class WeightType : uint8_t { qint8, quint8 };
// What shares a scale of the activations. per_tensor: all that goes into a MatMul at once, which is
// what quantize_dynamic writes and what every runtime is fast at. per_token: a row (asymmetric, 8
// bits), so that a text's vector does not depend on what it is batched with. per_token_16: the same
// with 16 bits as two exact 8-bit products, twice the work of the MatMul and no bytes more.
enum class Activations : uint8_t { per_tensor, per_token, per_token_16 };

struct QuantizeOptions {
  bool per_channel = false;
  bool reduce_range = false;  // 7-bit weights
  // A smaller range for a channel where that loses less: the scale, of 0.80, 0.82 .. 1 times the
  // one of its largest weight, with the smallest squared error. per_channel qint8 only.
  bool clip = false;
  WeightType weight_type = WeightType::qint8;
  std::vector<std::string> op_types = {"MatMul"};
  std::vector<std::string> exclude;  // ECMAScript regexes searched for in node names
  Activations activations = Activations::per_tensor;
  // Regexes like those of `exclude`: nodes that get per_token_16 where the others get per_token.
  std::vector<std::string> protect;
  bool external_data = false;
};

struct QuantizeReport {
  struct Quantized {
    std::string node, weight;
    int64_t weight_bytes_before = 0, weight_bytes_after = 0;
    Activations activations = Activations::per_tensor;
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
