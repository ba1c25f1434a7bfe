#pragma once
// Dynamic INT8: in the form of ONNX Runtime's quantize_dynamic (the same nodes, names, scales and
// bytes), or with a scale for every row of activations.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

enum class WeightType : uint8_t { qint8, quint8 };
// What shares a scale of the activations. per_tensor: all that goes into a MatMul at once, which is
// what quantize_dynamic writes and what every runtime is fast at. per_token: a row (asymmetric, 8
// bits), so that a text's vector does not depend on what it is batched with. per_token_16: the same
// with 16 bits as two bytes, exact in 8-bit products, twice the work of the MatMul and no bytes
// more.
enum class Activations : uint8_t { per_tensor, per_token, per_token_16 };

// Chooses the nodes that get per_token_16: the cheapest that bring every judged text to target_cos,
// or the best that max_extra_macs buys. Judged by the whole quantized model against the FP32 one,
// on every second calibration text (those that a search for alpha is judged by).
struct ProtectSearch {
  double target_cos = 1;      // smallest cosine of the pooled vectors; 1 takes all of the budget
  double max_extra_macs = 1;  // share of the products of all quantized nodes that is added
  std::filesystem::path tokenizer;    // folder; empty: the model's
  std::filesystem::path calibration;  // as in SmoothOptions
  size_t max_length = 512;            // tokens of a text
  size_t evaluations = 64;            // inputs of nodes that are measured one by one; joined beyond
  std::filesystem::path log;          // what was measured, to go on from after a stop; empty: none
};

// Rounding of the weights that knows what goes into them (GPTQ): what one weight's rounding does
// wrong, others of the same output make up for, as far as calibration texts say that their inputs
// go together. The same scales, the same bytes, other numbers. On all texts; with a search on every
// second one, those that it does not judge by.
struct CompensatedRounds {
  std::filesystem::path tokenizer;    // folder; empty: the model's
  std::filesystem::path calibration;  // as in SmoothOptions
  size_t max_length = 512;            // tokens of a text
};

// How the rows of the embedding table (a Gather by input_ids) are stored: int8 with a scale a row.
enum class TableType : uint8_t { float32, int8, bfloat16, float16 };

// The values of both by the names that the command line, reports and Python have for them.
inline constexpr std::array kActivationsNames = {
    std::pair{"per-tensor", Activations::per_tensor},
    std::pair{"per-token", Activations::per_token},
    std::pair{"per-token-16", Activations::per_token_16}};
inline constexpr std::array kTableTypeNames = {
    std::pair{"float32", TableType::float32}, std::pair{"int8", TableType::int8},
    std::pair{"bfloat16", TableType::bfloat16}, std::pair{"float16", TableType::float16}};
const char* name_of(Activations activations);
const char* name_of(TableType type);

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
  std::optional<ProtectSearch> search;  // more of them, with per_token
  // Empty: to nearest, as quantize_dynamic. Needs per_channel and qint8, no clip and reduce_range.
  std::optional<CompensatedRounds> compensate;

  TableType table = TableType::float32;
  // Bytes of the model, sidecar included, and of `beside` other files, at most: `table` is then the
  // form that loses least of those that fit.
  std::optional<uint64_t> max_size;
  uint64_t beside = 0;
  bool external_data = false;
};

// What max_size chose from, the form that loses least first.
struct SizeChoice {
  struct Form {
    TableType table = TableType::float32;
    uint64_t bytes = 0;  // of all files: the chosen form's as they are, others' before any search
  };
  uint64_t limit = 0;
  std::vector<Form> forms;
  size_t chosen = 0;  // index into forms
};

struct ProtectReport {
  struct Site {
    std::vector<std::string> nodes;  // that read the same input
    double share = 0;                // of the products of all
    double worth = 0;                // what the loss rises when only this one has 8 bits
    bool wide = false;               // 16 bits
  };
  // Of the judged texts. Percentiles as in VerifyReport.
  struct Quality {
    double cos_min = 0, cos_p5 = 0, cos_mean = 0;
  };
  std::vector<Site> sites;
  double extra_macs = 0;           // share of the products added
  Quality narrow, chosen, wide;    // 8 bits everywhere, the choice, 16 bits everywhere
  bool reached = false;            // chosen.cos_min >= target_cos
  bool held_out = true;            // false: the statistics saw the text, the only one there is
  uint64_t texts = 0;              // that were judged
  uint64_t calibration_texts = 0;  // of so many
};

struct QuantizeReport {
  uint64_t compensated = 0;         // weights that were not rounded to nearest
  uint64_t compensation_texts = 0;  // that they make up for each other on
  std::optional<ProtectReport> protection;
  std::optional<SizeChoice> size;
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
  struct Table {
    std::string name;  // empty: options.table was float32
    TableType type = TableType::float32;
    uint64_t bytes_before = 0, bytes_after = 0;  // of all that stands for it now
    std::vector<std::string> also_read_by;       // nodes for which the float32 table stays as well
  };
  Table table;
  std::vector<std::string> warnings, calibration_warnings;  // of the model and patterns; few texts
  uint64_t bytes_before = 0, bytes_after = 0;               // of all initializers
};

// What is no use together, or no regular expression. Errors: invalid_input or unsupported, those
// that quantize_model() would begin with.
Status check_quantize_options(const QuantizeOptions& options);

// Errors: invalid_input when nothing would be quantized (the message says why, node by node), or
// when max_size cannot be reached (before any search; the message has what can).
Result<QuantizeReport> quantize_model(const std::filesystem::path& input,
                                      const std::filesystem::path& output,
                                      const QuantizeOptions& options,
                                      const Progress& progress = {});

}  // namespace octavo
