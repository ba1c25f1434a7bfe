#pragma once
// Text in, vectors out. Open a model folder once, call embed() from any thread.
//
//   auto embedder = octavo::Embedder::open("all-MiniLM-L6-v2-int8/");
//   auto result = embedder->embed({"how do I reset my password?"}, {.prompt_name = "query"});

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octavo/result.h"

namespace octavo {

struct EmbedderOptions {
  std::string model_file = {};  // name inside the folder, or a path; empty: the best there is
  int threads = 0;              // 0: all that this process may use
  // Run the graph node by node as it is written, with one activation scale for a whole tensor,
  // where the engine would give each token its own: what ONNX Runtime computes, slower and less
  // accurate.
  bool exact_onnx = false;
  // Most tokens that run together (a longer text runs alone): bounds the memory of activations.
  size_t max_batch_tokens = 0;  // 0: 4,096; at most 2^24
  bool cache = true;            // keep packed weights in the user's cache folder for the next start
};

struct EmbedOptions {
  std::string prompt_name = {};  // "" means the model's default prompt, if it has one
  // Put before each text in place of any prompt of the model's, the default one too; "" for none.
  std::optional<std::string> prompt = {};
  size_t max_length = 0;  // tokens; 0 means the model's own limit
  size_t dimensions = 0;  // Matryoshka: keep the first so many and normalise again; 0 means all
  std::optional<bool> normalize = {};  // nullopt: as the model says
  size_t max_batch_tokens = 0;         // 0: as EmbedderOptions says; changes memory and no result
};

struct Embeddings {
  size_t width = 0;           // floats a text
  std::vector<float> values;  // [texts][width]
  struct Cut {
    size_t text;         // index of a text that was truncated
    size_t full_length;  // tokens it had
    size_t kept;         // tokens that were used
  };
  std::vector<Cut> truncated;
  uint64_t tokens = 0;  // used, over all texts

  std::span<const float> row(size_t i) const { return {values.data() + i * width, width}; }
  size_t count() const { return width == 0 ? 0 : values.size() / width; }
};

class Embedder {
 public:
  // Errors: not_found (folder, model file, tokenizer), unsupported (the graph), invalid_input.
  static Result<Embedder> open(const std::filesystem::path& folder,
                               const EmbedderOptions& options = {});
  Embedder(Embedder&&) noexcept;
  Embedder& operator=(Embedder&&) noexcept;
  ~Embedder();

  // A text's vector depends on that text and the options alone: never on its neighbours, the thread
  // count or the order. Errors: an unknown prompt name (listing the known ones), a prompt
  // and a name, dimensions larger than the model's width, too large a batch.
  Result<Embeddings> embed(std::span<const std::string> texts,
                           const EmbedOptions& options = {}) const;

  // A stream of any length: read() gives the next texts and is called on a thread of its own, so
  // that reading and tokenizing go on while vectors are computed; write() gets the vectors of the
  // texts that follow, in the order in which they were read, on the calling thread. What lies
  // between the two is bounded: while write() is busy, read() is not called for long. Ends with the
  // first error, of either or of a text (named by its number in the stream); the vectors of all
  // texts before it have been written by then. Read: no value at the end; no texts when there are
  // none yet: it is called again, unless write() has failed meanwhile, so one that waits for a
  // writer should come back now and then.
  using Read = std::function<Result<std::optional<std::vector<std::string>>>()>;
  using Write = std::function<Status(const Embeddings&)>;
  Status embed_stream(const Read& read, const Write& write, const EmbedOptions& options = {}) const;

  size_t width() const;
  size_t max_length() const;
  std::vector<std::string> prompt_names() const;
  // What the model's files say to sentence-transformers: each prompt's text by its name, the name
  // of the default one ("" when there is none), and how vectors are compared ("" when they do not
  // say).
  const std::map<std::string, std::string>& prompts() const;
  const std::string& default_prompt_name() const;
  const std::string& similarity() const;
  const std::filesystem::path& folder() const;
  // How the model runs: on the engine (and where its packed weights lie) or node by node, and why.
  std::string explain() const;
  // What had to be guessed about the model (pooling, length, ...): show them once.
  const std::vector<std::string>& warnings() const;

 private:
  friend class TextModel;  // the same parts for who schedules texts himself: octavo serve
  struct State;
  explicit Embedder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
