#include "octavo/embedder.h"

#include <algorithm>

#include "base/float_environment.h"
#include "base/out_of_memory.h"
#include "base/thread_shortage.h"
#include "embed/embedder_state.h"
#include "embed/ragged.h"

namespace octavo {

namespace {

// Sizes of activations are products with it: far above what any machine holds, and no product
// wraps.
constexpr size_t kMostBatchTokens = size_t{1} << 24;

Status check_batch_tokens(size_t tokens) {
  if (tokens <= kMostBatchTokens) return Done{};
  return Error{Code::invalid_input, std::to_string(tokens) + " tokens that run together: at most " +
                                        std::to_string(kMostBatchTokens) + " are possible"};
}

}  // namespace

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder& Embedder::operator=(Embedder&&) noexcept = default;
Embedder::~Embedder() = default;

Result<Embedder> Embedder::open(const std::filesystem::path& folder,
                                const EmbedderOptions& options) {
  OCTAVO_CHECK(check_batch_tokens(options.max_batch_tokens));
  return or_out_of_memory([&]() -> Result<Embedder> {
    OCTAVO_TRY(auto state, State::open(folder, options));
    return Embedder(std::move(state));
  });
}

Result<std::unique_ptr<Embedder::State>> Embedder::State::open(const std::filesystem::path& folder,
                                                               const EmbedderOptions& options) {
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
  return state;
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
  return poolable(found->second, key);
}

Result<std::string> Embedder::State::poolable(const std::string& text,
                                              const std::string& name) const {
  if (text.empty() || dir.include_prompt || dir.pooling != Pooling::mean) return text;
  return Error{Code::unsupported,
               "the pooling config says include_prompt false: leaving the tokens of prompt \"" +
                   name + "\" out of the mean is not supported"};
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
    std::span<const std::string> texts, const Plan& plan, Embeddings& result, size_t first) const {
  std::vector<std::vector<int64_t>> ids(texts.size());
  std::vector<size_t> full(texts.size());
  std::vector<std::optional<Error>> errors(texts.size());
  pool->parallel_for(texts.size(), 8, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      auto encoding = plan.prefix.empty()
                          ? tokenizer->encode(texts[i], plan.max_length)
                          : tokenizer->encode(plan.prefix + texts[i], plan.max_length);
      if (encoding) {
        full[i] = encoding->full_length;
        ids[i] = std::move(encoding->ids);
      } else {
        errors[i] = std::move(encoding).error();
      }
    }
  });
  for (size_t i = 0; i < texts.size(); ++i) {
    if (errors[i]) return std::move(*errors[i]).within(text_name(first + i));
    if (full[i] > ids[i].size()) result.truncated.push_back({i, full[i], ids[i].size()});
    result.tokens += ids[i].size();
  }
  return ids;
}

Result<Embeddings> Embedder::embed(std::span<const std::string> texts,
                                   const EmbedOptions& options) const {
  return or_out_of_memory([&] { return state_->embed(texts, options); });
}

Result<Embedder::State::Plan> Embedder::State::plan(const EmbedOptions& options) const {
  Plan plan;
  plan.width = options.dimensions == 0 ? encoder->width() : options.dimensions;
  if (plan.width > encoder->width())
    return Error{Code::invalid_input, std::to_string(options.dimensions) +
                                          " dimensions: the model has " +
                                          std::to_string(encoder->width())};
  if (options.prompt && !options.prompt_name.empty())
    return Error{Code::invalid_input,
                 "a prompt, and the prompt name \"" + options.prompt_name + "\": give one of both"};
  OCTAVO_TRY(plan.prefix, options.prompt ? poolable(*options.prompt, *options.prompt)
                                         : prompt(options.prompt_name));
  OCTAVO_TRY(plan.max_length, length_limit(options.max_length));
  plan.normalize = options.normalize.value_or(dir.normalize);
  OCTAVO_CHECK(check_batch_tokens(options.max_batch_tokens));
  plan.batch_tokens = options.max_batch_tokens == 0 ? max_batch_tokens : options.max_batch_tokens;
  return plan;
}

Status Embedder::State::compute(std::span<const std::vector<int64_t>> ids, const Plan& plan,
                                Embeddings& result, size_t first) const {
  result.width = plan.width;
  OCTAVO_TRY(result.values, encoder->encode(ids, first, plan.batch_tokens));
  const FloatEnvironment ieee;
  const size_t full_width = encoder->width();
  if (plan.width < full_width) {
    for (size_t i = 1; i < ids.size(); ++i)
      std::copy_n(result.values.begin() + static_cast<ptrdiff_t>(i * full_width), plan.width,
                  result.values.begin() + static_cast<ptrdiff_t>(i * plan.width));
    result.values.resize(ids.size() * plan.width);
    result.values.shrink_to_fit();
  }
  if (plan.normalize) {
    for (size_t i = 0; i < ids.size(); ++i)
      l2_normalize({result.values.data() + i * plan.width, plan.width});
  }
  return Done{};
}

Result<Embeddings> Embedder::State::embed(std::span<const std::string> texts,
                                          const EmbedOptions& options) const {
  OCTAVO_TRY(const Plan plan, this->plan(options));
  Embeddings result;
  OCTAVO_TRY(const auto ids, tokenize(texts, plan, result));
  OCTAVO_CHECK(compute(ids, plan, result));
  return result;
}

size_t Embedder::width() const { return state_->encoder->width(); }
size_t Embedder::max_length() const { return state_->dir.max_length; }

std::vector<std::string> Embedder::prompt_names() const {
  std::vector<std::string> names;
  for (const auto& [name, text] : state_->dir.prompts) names.push_back(name);
  return names;
}

const std::map<std::string, std::string>& Embedder::prompts() const { return state_->dir.prompts; }
const std::string& Embedder::default_prompt_name() const { return state_->dir.default_prompt_name; }
const std::string& Embedder::similarity() const { return state_->dir.similarity; }
const std::filesystem::path& Embedder::folder() const { return state_->dir.folder; }

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
      " MB of weights, " +
      megabytes(ragged_bytes(engine.spec(), state_->dir.pooling, state_->max_batch_tokens)) +
      " MB of activations for " + std::to_string(state_->max_batch_tokens) + " tokens; ";
  if (fused->packed.empty()) return text + "packed weights in memory only";
  return text + (fused->from_cache ? "packed weights from " : "packed weights written to ") +
         fused->packed.string();
}

const std::vector<std::string>& Embedder::warnings() const { return state_->dir.warnings; }

}  // namespace octavo
