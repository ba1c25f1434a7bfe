#pragma once
// The ragged path: many texts at once as rows [total tokens][hidden] with offsets, no padding, no
// masks, a short list of fused layers. A text's rows depend on its own ids alone: activations are
// quantized row by row, attention walks blocks of 64 keys counted from the start of the text, every
// float sum has a fixed order. So neither the other texts, nor the thread count, nor the
// instruction set changes a bit.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "runtime/fused/spec.h"
#include "tensor/tensor.h"

namespace octavo::fused {

// Which rows of the last hidden state are wanted. Of the last layer, first and last compute K and V
// for all tokens and everything else for one row a text.
enum class Rows : uint8_t { all, first, last };

// A text fills whole blocks of keys however short it is, so a batch by tokens counts one as this
// many at least: memory is bounded for texts of a single token, too.
inline constexpr size_t kShortestText = 16;

// One step of a layer: what it was, how long it took, how many products.
struct StepTime {
  size_t layer;  // EncoderSpec::layers index; layers.size() for what is outside
  std::string step;
  double start = 0;  // seconds since the run began
  double seconds = 0;
  uint64_t macs = 0;
};

struct RunOptions {
  Rows rows = Rows::all;
  // Quantizes whole matrices with one scale, as DynamicQuantizeLinear does, and keeps attention in
  // f32: for checking against the plain executor, all rows of one text of at most 512 tokens.
  bool exact_onnx = false;
  std::vector<StepTime>* times = nullptr;
  // Another instruction set than the one chosen at start: all give the same bytes, which tests see.
  const kernels::Table* kernels = nullptr;
};

class FusedEncoder {
 public:
  // Finds each tensor that the spec names; called once a tensor, with the type and shape expected.
  using Lookup = std::function<Result<Tensor>(const std::string& name)>;
  // Errors: invalid_input when a tensor is not there or not of the shape and type that the spec
  // asks for; unsupported for sizes that the kernels cannot take (K above 65,793, ...).
  static Result<FusedEncoder> create(EncoderSpec spec, const Lookup& lookup);
  FusedEncoder(FusedEncoder&&) noexcept;
  FusedEncoder& operator=(FusedEncoder&&) noexcept;
  ~FusedEncoder();

  const EncoderSpec& spec() const;
  // ids of text t: [offsets[t], offsets[t + 1]), offsets[0] = 0; no text is empty. out: [tokens or
  // texts][hidden]. From many threads at once. Errors: invalid_input (an id outside the vocabulary,
  // a text longer than the positions), out_of_memory.
  Status run(std::span<const int64_t> ids, std::span<const size_t> offsets, ThreadPool& pool,
             const RunOptions& options, float* out) const;

  // Bytes of activations that a run over `tokens` tokens holds at most, a text counted as
  // kShortestText tokens or more.
  size_t workspace_bytes(size_t tokens) const { return workspace_bytes(spec(), tokens); }
  static size_t workspace_bytes(const EncoderSpec& spec, size_t tokens);
  // Bytes that the runs so far took and that stay for the next ones; runs going on not counted.
  size_t workspace_held() const;
  // Bytes of packed weights, without the embedding table.
  size_t weight_bytes() const;

 private:
  struct State;
  explicit FusedEncoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo::fused
