#pragma once
// Token ids in, one pooled vector a text out: an executor and a pooling rule. No text here, so that
// verify can feed two models the very same ids.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/fused_model.h"
#include "embed/model_dir.h"
#include "embed/pooling.h"  // l2_normalize
#include "graph/graph.h"

namespace octavo {

struct EncoderOptions {
  // Null: a pool of all usable CPUs.
  std::shared_ptr<ThreadPool> pool = nullptr;
  // Runs the graph as it is written, node by node, its dynamic quantization over the whole tensor
  // included; else the ragged path (runtime/fused/encoder.h) where the graph can be raised to it.
  bool exact_onnx = true;
  // Most tokens that run together on the ragged path (a longer text runs alone): bounds its memory.
  size_t max_batch_tokens = 4096;
  size_t positions =
      0;              // most tokens of a text, for the tables of the ragged path; 0: all there are
  bool cache = true;  // keep packed weights on the disk for the next start
  // Node by node: the weights of a large model are packed anew by every encode(), a part at a time,
  // so that memory does not grow with its depth. For measuring, many texts a call.
  bool stream = false;
};

class Encoder {
 public:
  // Errors: those of reading the file and of the executor; unsupported: an input we cannot feed (it
  // is named), no output that is a hidden state.
  static Result<Encoder> open(const std::filesystem::path& onnx_file, Pooling pooling,
                              EncoderOptions options = {});
  static Result<Encoder> create(Model model, Pooling pooling, EncoderOptions options = {});
  // On the ragged path; the options that say how to make a model do not matter.
  static Encoder of_fused(FusedModel fused, Pooling pooling, const EncoderOptions& options);
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  ~Encoder();

  // One row of `width()` floats a text, not normalised. Texts run unpadded and a row depends on its
  // own text alone: on the ragged path many run together, node by node equal lengths share a run
  // where the graph does not mix its rows. Token type ids are zeros. Errors name the text by its
  // number, ids[0] being number `first` (from 0): no ids, an id outside the vocabulary, a
  // non-finite result; or they name the node that failed. batch_tokens: instead of
  // EncoderOptions::max_batch_tokens, 0 for just that.
  Result<std::vector<float>> encode(std::span<const std::vector<int64_t>> ids, size_t first = 0,
                                    size_t batch_tokens = 0) const;

  // The hidden state of every token of one text, [tokens][width], not normalised. Errors: as above,
  // and unsupported where the model gives one row a text.
  Result<std::vector<float>> token_rows(std::span<const int64_t> ids) const;
  // Whether encode() takes these ids, those of text number `number` (from 0): the errors that can
  // be known before it runs.
  Status check(std::span<const int64_t> ids, size_t number = 0) const;

  size_t width() const;
  // Null when the graph runs node by node; then why_plain() says why ("" when it was asked for).
  const FusedModel* fused() const;
  const std::string& why_plain() const;
  ThreadPool& pool() const;
  bool streams() const;  // every encode() packs weights
  // What had to be guessed about the model's outputs; empty as a rule.
  const std::vector<std::string>& warnings() const;

 private:
  struct State;
  explicit Encoder(std::unique_ptr<State> state);
  // The graph node by node; `why` it is no fused model, "" when that was asked for.
  static Result<Encoder> of_graph(Model model, Pooling pooling, const EncoderOptions& options,
                                  std::string why);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
