#include "octavo/embedder.h"

#include <algorithm>
#include <optional>

#include "base/float_environment.h"
#include "base/thread_shortage.h"
#include "embed/encoder.h"
#include "embed/model_dir.h"
#include "text/tokenizer.h"

namespace octavo {

namespace {

// Sizes of activations are products with it: far above what any machine holds, and no product
// wraps.
constexpr size_t kMostBatchTokens = size_t{1} << 24;

}  // namespace

struct Embedder::State {
  ModelDir dir;
  std::optional<Tokenizer> tokenizer;
  std::optional<Encoder> encoder;
  std::shared_ptr<ThreadPool> pool;
  size_t max_batch_tokens = 0;

  Result<std::string> prompt(const std::string& name) const;
  Result<size_t> length_limit(size_t asked) const;
  // Token ids of prompt + text for every text; notes the ones that were cut.
  Result<std::vector<std::vector<int64_t>>> tokenize(std::span<const std::string> texts,
                                                     const std::string& prompt, size_t max_length,
                                                     Embeddings& result) const;
};

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder& Embedder::operator=(Embedder&&) noexcept = default;
Embedder::~Embedder() = default;

Result<Embedder> Embedder::open(const std::filesystem::path& folder,
                                const EmbedderOptions& options) {
  if (options.max_batch_tokens > kMostBatchTokens)
    return Error{Code::invalid_input, std::to_string(options.max_batch_tokens) +
                                          " tokens that run together: at most " +
                                          std::to_string(kMostBatchTokens) + " are possible"};
  auto state = std::make_unique<State>();
  OCTAVO_TRY(state->dir, read_model_dir(folder, options.model_file));
  if (state->dir.model_file.empty())
    return Error{Code::not_found, folder.string() +
                                      ": no model.int8.onnx, model.onnx or onnx/model.onnx; name "
                                      "the model file, or make one with `octavo import`"};
  OCTAVO_TRY(state->tokenizer, Tokenizer::open(state->dir.tokenizer_file));
  state->pool = std::make_shared<ThreadPool>(options.threads);
  if (const std::string fewer = thread_shortage(*state->pool, options.threads); !fewer.empty())
    state->dir.warnings.push_back(fewer);
  EncoderOptions encoder_options;
  encoder_options.pool = state->pool;
  encoder_options.exact_onnx = options.exact_onnx;
  if (options.max_batch_tokens != 0) encoder_options.max_batch_tokens = options.max_batch_tokens;
  state->max_batch_tokens = encoder_options.max_batch_tokens;
  encoder_options.positions = state->dir.positions;
  encoder_options.cache = options.cache;
  OCTAVO_TRY(state->encoder,
             Encoder::open(state->dir.model_file, state->dir.pooling, encoder_options));
  const auto& more = state->encoder->warnings();
  state->dir.warnings.insert(state->dir.warnings.end(), more.begin(), more.end());
  return Embedder(std::move(state));
}

Result<std::string> Embedder::State::prompt(const std::string& name) const {
  const std::string& key = name.empty() ? dir.default_prompt_name : name;
  if (key.empty()) return std::string();
  const auto found = dir.prompts.find(key);
  if (found == dir.prompts.end()) {
    std::string known;
    for (const auto& [other, text] : dir.prompts) known += (known.empty() ? "" : ", ") + other;
    return Error{Code::not_found,
                 "no prompt named \"" + key + "\"; " +
                     (known.empty() ? "the model has no prompts" : "the model has: " + known)};
  }
  if (!found->second.empty() && !dir.include_prompt && dir.pooling == Pooling::mean)
    return Error{Code::unsupported,
                 "the pooling config says include_prompt false: leaving the tokens of prompt \"" +
                     key + "\" out of the mean is not supported"};
  return found->second;
}

Result<size_t> Embedder::State::length_limit(size_t asked) const {
  if (asked == 0) return dir.max_length;
  if (dir.positions != 0 && asked > dir.positions)
    return Error{Code::invalid_input, "maximum length " + std::to_string(asked) +
                                          ": the model has " + std::to_string(dir.positions) +
                                          " positions"};
  return asked;
}

Result<std::vector<std::vector<int64_t>>> Embedder::State::tokenize(
    std::span<const std::string> texts, const std::string& prefix, size_t max_length,
    Embeddings& result) const {
  std::vector<std::vector<int64_t>> ids(texts.size());
  std::vector<size_t> full(texts.size());
  std::vector<std::optional<Error>> errors(texts.size());
  pool->parallel_for(texts.size(), 8, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      auto encoding = prefix.empty() ? tokenizer->encode(texts[i], max_length)
                                     : tokenizer->encode(prefix + texts[i], max_length);
      if (encoding) {
        full[i] = encoding->full_length;
        ids[i] = std::move(encoding->ids);
      } else {
        errors[i] = std::move(encoding).error();
      }
    }
  });
  for (size_t i = 0; i < texts.size(); ++i) {
    if (errors[i]) return std::move(*errors[i]).within("text " + std::to_string(i + 1));
    if (full[i] > ids[i].size()) result.truncated.push_back({i, full[i], ids[i].size()});
    result.tokens += ids[i].size();
  }
  return ids;
}

Result<Embeddings> Embedder::embed(std::span<const std::string> texts,
                                   const EmbedOptions& options) const {
  const State& s = *state_;
  const size_t full_width = s.encoder->width();
  if (options.dimensions > full_width)
    return Error{Code::invalid_input, std::to_string(options.dimensions) +
                                          " dimensions: the model has " +
                                          std::to_string(full_width)};
  OCTAVO_TRY(const std::string prefix, s.prompt(options.prompt_name));
  OCTAVO_TRY(const size_t max_length, s.length_limit(options.max_length));
  Embeddings result;
  result.width = options.dimensions == 0 ? full_width : options.dimensions;
  OCTAVO_TRY(const auto ids, s.tokenize(texts, prefix, max_length, result));
  OCTAVO_TRY(result.values, s.encoder->encode(ids));
  const FloatEnvironment ieee;
  if (result.width < full_width) {
    for (size_t i = 1; i < texts.size(); ++i)
      std::copy_n(result.values.begin() + static_cast<ptrdiff_t>(i * full_width), result.width,
                  result.values.begin() + static_cast<ptrdiff_t>(i * result.width));
    result.values.resize(texts.size() * result.width);
    result.values.shrink_to_fit();
  }
  if (options.normalize.value_or(s.dir.normalize)) {
    for (size_t i = 0; i < texts.size(); ++i)
      l2_normalize({result.values.data() + i * result.width, result.width});
  }
  return result;
}

size_t Embedder::width() const { return state_->encoder->width(); }
size_t Embedder::max_length() const { return state_->dir.max_length; }

std::vector<std::string> Embedder::prompt_names() const {
  std::vector<std::string> names;
  for (const auto& [name, text] : state_->dir.prompts) names.push_back(name);
  return names;
}

std::string Embedder::explain() const {
  const Encoder& encoder = *state_->encoder;
  const FusedModel* fused = encoder.fused();
  if (fused == nullptr)
    return encoder.why_plain().empty() ? "runs node by node, as asked"
                                       : "runs node by node: " + encoder.why_plain();
  const fused::FusedEncoder& engine = *fused->encoder;
  const bool int8 = engine.spec().layers[0].qkv[0].kind == fused::WeightKind::s8;
  const auto megabytes = [](size_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000); };
  std::string text =
      "runs as " + std::to_string(engine.spec().layers.size()) + " fused layers" +
      (int8 ? ", each token quantized by itself; " : "; ") + megabytes(engine.weight_bytes()) +
      " MB of weights, " + megabytes(engine.workspace_bytes(state_->max_batch_tokens)) +
      " MB of activations for " + std::to_string(state_->max_batch_tokens) + " tokens; ";
  if (fused->packed.empty()) return text + "packed weights in memory only";
  return text + (fused->from_cache ? "packed weights from " : "packed weights written to ") +
         fused->packed.string();
}

const std::vector<std::string>& Embedder::warnings() const { return state_->dir.warnings; }

}  // namespace octavo
