#pragma once
// Token ids in, one pooled vector a text out: a Session and a pooling rule. No text here, so that
// verify can feed two models the very same ids.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "embed/model_dir.h"
#include "graph/graph.h"

namespace octavo {

class Encoder {
 public:
  static Result<Encoder> open(const std::filesystem::path& onnx_file, Pooling pooling,
                              std::shared_ptr<ThreadPool> pool = nullptr);
  static Result<Encoder> create(Model model, Pooling pooling,
                                std::shared_ptr<ThreadPool> pool = nullptr);
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  ~Encoder();

  // One row of `width()` floats a text, not normalised. Texts run unpadded (equal lengths may share
  // a run), so a row depends on its own text alone. type_ids are zeros when the model asks for them
  // and none are given. Errors: an empty text (no ids), an id outside the vocabulary, a non-finite
  // result (naming the text).
  Result<std::vector<float>> encode(std::span<const std::vector<int64_t>> ids) const;

  size_t width() const;

 private:
  struct State;
  explicit Encoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// In place; a zero vector stays zero. Norm accumulated in a fixed order, so the bits do not depend
// on anything else.
void l2_normalize(std::span<float> row);

}  // namespace octavo
