#pragma once
// What is behind an Embedder. Private to embedder.cc and embedder_stream.cc.

#include <optional>

#include "base/thread_pool.h"
#include "embed/encoder.h"
#include "embed/model_dir.h"
#include "octavo/embedder.h"
#include "text/tokenizer.h"

namespace octavo {

struct Embedder::State {
  ModelDir dir;
  std::optional<Tokenizer> tokenizer;
  std::optional<Encoder> encoder;
  std::shared_ptr<ThreadPool> pool;
  size_t max_batch_tokens = 0;

  static Result<std::unique_ptr<State>> open(const std::filesystem::path& folder,
                                             const EmbedderOptions& options);
  Result<Embeddings> embed(std::span<const std::string> texts, const EmbedOptions& options) const;
  Status embed_stream(const Read& read, const Write& write, const EmbedOptions& options) const;

  // The options as what they come to with this model.
  struct Plan {
    std::string prefix;
    size_t max_length = 0;
    size_t width = 0;
    bool normalize = false;
    size_t batch_tokens = 0;
  };
  Result<Plan> plan(const EmbedOptions& options) const;
  Result<std::string> prompt(const std::string& name) const;
  // The text of a prompt, unless the model's pooling leaves prompts out; `name` is for the message.
  Result<std::string> poolable(const std::string& text, const std::string& name) const;
  Result<size_t> length_limit(size_t asked) const;
  // Token ids of prompt + text for every text; notes the ones that were cut. Errors name a text by
  // its number, the first of them being number `first` (from 0).
  Result<std::vector<std::vector<int64_t>>> tokenize(std::span<const std::string> texts,
                                                     const Plan& plan, Embeddings& result,
                                                     size_t first = 0) const;
  // Encodes, shortens and normalises: width and values of the result.
  Status compute(std::span<const std::vector<int64_t>> ids, const Plan& plan, Embeddings& result,
                 size_t first = 0) const;

  class Stream;
};

}  // namespace octavo
