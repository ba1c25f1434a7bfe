#include "embed/text_model.h"

#include "base/float_environment.h"
#include "base/out_of_memory.h"
#include "embed/embedder_state.h"

namespace octavo {

TextModel::TextModel(Embedder embedder) : embedder_(std::move(embedder)) {}
TextModel::TextModel(TextModel&&) noexcept = default;
TextModel& TextModel::operator=(TextModel&&) noexcept = default;
TextModel::~TextModel() = default;

Result<TextModel> TextModel::open(const std::filesystem::path& folder,
                                  const EmbedderOptions& options) {
  OCTAVO_TRY(Embedder embedder, Embedder::open(folder, options));
  return TextModel(std::move(embedder));
}

const ModelDir& TextModel::dir() const { return embedder_.state_->dir; }
const Tokenizer& TextModel::tokenizer() const { return *embedder_.state_->tokenizer; }
size_t TextModel::width() const { return embedder_.width(); }
size_t TextModel::max_batch_tokens() const { return embedder_.state_->max_batch_tokens; }
std::string TextModel::explain() const { return embedder_.explain(); }

Result<std::string> TextModel::prompt(const std::string& name) const {
  return embedder_.state_->prompt(name);
}

Status TextModel::check(std::span<const int64_t> ids, size_t number) const {
  return embedder_.state_->encoder->check(ids, number);
}

Result<std::vector<float>> TextModel::rows(std::span<const std::vector<int64_t>> ids) const {
  return or_out_of_memory([&] { return embedder_.state_->encoder->encode(ids); });
}

Result<std::vector<float>> TextModel::token_rows(std::span<const int64_t> ids) const {
  return or_out_of_memory([&] { return embedder_.state_->encoder->token_rows(ids); });
}

std::vector<float> TextModel::vector(std::span<const float> row, size_t dimensions,
                                     std::optional<bool> normalize) const {
  if (dimensions != 0 && dimensions < row.size()) row = row.first(dimensions);
  std::vector<float> out(row.begin(), row.end());
  const FloatEnvironment ieee;
  if (normalize.value_or(dir().normalize)) l2_normalize(out);
  return out;
}

}  // namespace octavo
