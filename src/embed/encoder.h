#pragma once
// Token ids in, one pooled vector a text out: a Session and a pooling rule. No text here, so that
// verify can feed two models the very same ids.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/model_dir.h"
#include "embed/pooling.h"  // l2_normalize
#include "graph/graph.h"

namespace octavo {

class Encoder {
 public:
  // A null pool: one of all usable CPUs. Errors: those of reading the file and of the executor;
  // unsupported: an input we cannot feed (it is named), no output that is a hidden state.
  static Result<Encoder> open(const std::filesystem::path& onnx_file, Pooling pooling,
                              std::shared_ptr<ThreadPool> pool = nullptr);
  static Result<Encoder> create(Model model, Pooling pooling,
                                std::shared_ptr<ThreadPool> pool = nullptr);
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  ~Encoder();

  // One row of `width()` floats a text, not normalised. Texts run unpadded, several at a time on
  // the pool's threads; equal lengths share a run where the graph does not mix its rows. So a row
  // depends on its own text alone. Token type ids are zeros. Errors name the text by its number: no
  // ids, an id outside the vocabulary, a non-finite result; or they name the node that failed.
  Result<std::vector<float>> encode(std::span<const std::vector<int64_t>> ids) const;

  size_t width() const;
  // What had to be guessed about the model's outputs; empty as a rule.
  const std::vector<std::string>& warnings() const;

 private:
  struct State;
  explicit Encoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
