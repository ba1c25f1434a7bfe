#pragma once
// One run of a FusedEncoder: the state that its steps share. Private to this folder.

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/kernels.h"
#include "runtime/fused/encoder.h"
#include "runtime/fused/weights.h"
#include "runtime/fused/workspace.h"

namespace octavo::fused {

// Up to kBlockKeys tokens of one text, counted from its start: a unit of packed keys, and of
// queries that attend together.
struct Block {
  size_t text;
  size_t row;    // of its first token
  size_t count;  // tokens
  size_t first;  // position of its first token
};

struct Text {
  size_t row;
  size_t length;
  size_t block;  // its first
};

// Rows [begin, end) that go through a layer's steps together, cut between blocks.
struct Chunk {
  size_t block_begin, block_end;
  size_t begin, end;
};

// Input of linears: f32 rows, and their quantized form when a step asked for it.
struct Input {
  const float* rows;
  size_t ld;
  size_t count;
};

constexpr size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
constexpr size_t round_up(size_t n, size_t to) { return ceil_div(n, to) * to; }
// Bytes from row to row of quantized rows of k.
constexpr size_t byte_row(size_t k) { return round_up(k, 64); }

// Columns of a row of q|k|v.
size_t qkv_width(const LayerSpec& layer);

class Forward {
 public:
  Forward(const Weights& weights, const kernels::Table& table, ThreadPool& pool,
          Workspace& workspace, const RunOptions& options)
      : w_(weights), t_(table), pool_(pool), s_(workspace), options_(options) {}

  Status run(std::span<const int64_t> ids, std::span<const size_t> offsets, float* out);
  // Bytes that reserve() takes at most for a batch of that many tokens (kShortestText).
  static size_t bytes(const EncoderSpec& spec, size_t tokens);
  // Bytes that a workspace has taken.
  static size_t held(const Workspace& workspace);

 private:
  // What a batch asks of the workspace, and so how large each of its buffers has to be.
  struct Amount {
    size_t tokens = 0, texts = 0, blocks = 0;
    bool picked = false;  // the last layer goes on with one row a text
    bool fixed = false;   // some layer attends in fixed point, some in floats
    bool floating = false;
  };
  using Need = std::array<std::pair<Buffer Workspace::*, size_t>, 15>;
  static Need need(const EncoderSpec& spec, const Amount& amount);

  // forward.cc
  Status plan(std::span<const int64_t> ids, std::span<const size_t> offsets);
  Status reserve();
  void embed(std::span<const int64_t> ids);
  void layer(size_t index);
  void last_layer(size_t index);
  void keys_and_values(const Layer& l, bool queries);
  // What follows attention, on rows x whose attended heads are in s_.wide.
  void finish_layer(const Layer& l, float* x, size_t rows);
  void feed_forward(const Layer& l, float* x, size_t rows);
  // linear.cc
  void norm_row(const Norm& norm, size_t width, const float* x, float* y) const;
  void norm_rows(const Norm& norm, size_t rows, const float* x, float* y);
  void quantize(const Linear& linear, const Norm& norm, const Input& input);
  void multiply(const Linear& linear, const Input& input, size_t first_column, size_t last_column,
                kernels::Epilogue epilogue, float* c, size_t ldc);
  // Quantizes what norm makes of the input (norm.kind none: the input) and multiplies.
  void linear(const Linear& linear, const Norm& norm, const Input& input, size_t first_column,
              size_t last_column, kernels::Epilogue epilogue, float* c, size_t ldc);
  void add_linear(const Linear& linear, const Input& input, float* x);
  // attention.cc
  // q|k|v rows of the input into s_.wide; q alone, or k and v alone, when asked.
  void project_qkv(const Layer& l, const Input& input, bool queries, bool keys);
  // Head norm and rotary position of one head of one token, in place.
  void turn_head(const Layer& l, const Norm& norm, size_t position, float* head) const;
  // `count` tokens of one head, from q|k|v rows into slots of s_.q.
  void pack_queries(const Layer& l, size_t head, float* rows, size_t count, size_t position,
                    size_t slot);
  // A block's keys and values of one kv head.
  void pack_keys(const Layer& l, size_t group, size_t block, float* rows);
  void attend(const Layer& l, size_t head, size_t slot, size_t rows, size_t first, const Text& text,
              float* out) const;

  // body(begin, end) over [0, n); on the calling thread alone when all of it is less work than
  // waking another.
  void each(size_t n, size_t cost, FunctionRef<void(size_t, size_t)> body);
  void timed(const char* step, uint64_t macs);

  bool fixed_point(const Layer& l) const {
    return !options_.exact_onnx && l.qkv[0].spec->kind == WeightKind::s8;
  }

  const Weights& w_;
  const kernels::Table& t_;
  ThreadPool& pool_;
  Workspace& s_;
  const RunOptions& options_;

  size_t tokens_ = 0;
  std::vector<Text> texts_;
  std::vector<Block> blocks_;
  std::vector<Chunk> chunks_;
  std::vector<size_t> picked_;  // row of each text that the last layer goes on with
  size_t slots_ = 0;            // rows of q
  size_t layer_ = 0;
  std::chrono::steady_clock::time_point begin_, mark_;
};

}  // namespace octavo::fused
