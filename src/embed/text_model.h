#pragma once
// A model folder in parts, for who schedules the texts of many clients: text to token ids on any
// thread, token ids to rows in batches, a row to a vector. The same steps as Embedder::embed(), in
// the same order, and so the same bits.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "embed/model_dir.h"
#include "octavo/embedder.h"
#include "text/tokenizer.h"

namespace octavo {

class TextModel {
 public:
  // Errors: those of Embedder::open().
  static Result<TextModel> open(const std::filesystem::path& folder,
                                const EmbedderOptions& options = {});
  TextModel(TextModel&&) noexcept;
  TextModel& operator=(TextModel&&) noexcept;
  ~TextModel();

  const ModelDir& dir() const;
  const Tokenizer& tokenizer() const;
  size_t width() const;
  size_t max_batch_tokens() const;
  std::string explain() const;

  // What goes before a text: the prompt of that name, or for "" the model's default one. Errors:
  // not_found, listing the names there are; unsupported.
  Result<std::string> prompt(const std::string& name) const;
  // Whether rows() takes these ids, those of text number `number` (from 0). Errors: none of them,
  // too many for the model's positions, one outside the vocabulary.
  Status check(std::span<const int64_t> ids, size_t number = 0) const;
  // [texts][width], as the model gives them. One thread at a time uses all of the model's threads.
  // Errors name the text by its number.
  Result<std::vector<float>> rows(std::span<const std::vector<int64_t>> ids) const;
  // [tokens][width]: every token's hidden state. Errors: unsupported for a model that pools itself.
  Result<std::vector<float>> token_rows(std::span<const int64_t> ids) const;
  // The first `dimensions` numbers of a row (all of them for 0) and their length as the options
  // say; nullopt: as the model says.
  std::vector<float> vector(std::span<const float> row, size_t dimensions,
                            std::optional<bool> normalize) const;

 private:
  explicit TextModel(Embedder embedder);
  Embedder embedder_;
};

}  // namespace octavo
