#include "embed/encoder.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "base/float_environment.h"
#include "base/half.h"
#include "embed/ragged.h"
#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "runtime/streamed.h"

namespace octavo {

namespace {

// Texts of equal length that share a run, in tokens: enough rows for the matrix products, while
// the widest activation of a small model (512 x 1536 floats, 3 MB) stays near the caches.
constexpr size_t kSharedTokens = 512;

// Texts order[begin, end), all of one length.
struct Run {
  size_t begin;
  size_t end;
};

// Not about the model: another try might go well.
bool is_passing(const Error& error) {
  return error.code == Code::out_of_memory || error.code == Code::io;
}

}  // namespace

struct Encoder::State {
  std::shared_ptr<ThreadPool> pool;
  std::optional<FusedModel> fused;
  std::string why_plain;
  size_t max_batch_tokens = 0;
  std::optional<StreamedModel> plain;  // when there is no fused
  Signature signature;
  Pooling pooling = Pooling::mean;
  size_t width = 0;

  Status check_ids(std::span<const std::vector<int64_t>> ids, size_t first) const;
  std::vector<Run> plan(std::span<const std::vector<int64_t>> ids,
                        std::span<const size_t> order) const;
  // Feeds of texts of one length.
  Result<std::vector<Feed>> feeds(std::span<const std::vector<int64_t>> ids,
                                  std::span<const size_t> texts) const;
  // What the graph gave for `texts` texts of `length` tokens, looked at, as f32.
  Result<Tensor> float_states(Tensor states, size_t texts, size_t length) const;
  // What the graph gave for them -> one row of `out` a text.
  Status pool_rows(std::span<const std::vector<int64_t>> ids, std::span<const size_t> texts,
                   size_t first, Tensor given, float* out) const;
};

Encoder::Encoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;

Result<Encoder> Encoder::open(const std::filesystem::path& onnx_file, Pooling pooling,
                              EncoderOptions options) {
  if (options.pool == nullptr) options.pool = std::make_shared<ThreadPool>();
  std::string why;
  if (!options.exact_onnx) {
    Result<FusedModel> fused =
        open_fused(onnx_file, {options.positions, options.cache}, options.pool);
    if (fused) return of_fused(*std::move(fused), pooling, options);
    // The same file gives the same vectors, or none: no change of path because the system is short
    // of something.
    if (is_passing(fused.error())) return std::move(fused).error();
    // Whatever is wrong with the file itself, reading it again says so.
    why = fused.error().message;
  }
  OCTAVO_TRY(Model model, read_onnx(onnx_file));
  return of_graph(std::move(model), pooling, options, std::move(why)).within(onnx_file.string());
}

Encoder Encoder::of_fused(FusedModel fused, Pooling pooling, const EncoderOptions& options) {
  auto state = std::make_unique<State>();
  state->pool = options.pool;
  state->pooling = pooling;
  state->width = fused.encoder->spec().hidden;
  state->signature.vocabulary = static_cast<int64_t>(fused.encoder->spec().vocabulary);
  state->max_batch_tokens = options.max_batch_tokens;
  state->fused = std::move(fused);
  return Encoder(std::move(state));
}

Result<Encoder> Encoder::create(Model model, Pooling pooling, EncoderOptions options) {
  if (options.pool == nullptr) options.pool = std::make_shared<ThreadPool>();
  std::string why;
  if (!options.exact_onnx) {
    Result<FusedModel> fused = make_fused(model, {options.positions, options.cache}, options.pool);
    if (fused) return of_fused(*std::move(fused), pooling, options);
    if (is_passing(fused.error())) return std::move(fused).error();
    why = fused.error().message;
  }
  return of_graph(std::move(model), pooling, options, std::move(why));
}

Result<Encoder> Encoder::of_graph(Model model, Pooling pooling, const EncoderOptions& options,
                                  std::string why) {
  auto state = std::make_unique<State>();
  state->pool = options.pool;
  state->why_plain = std::move(why);
  OCTAVO_TRY(state->signature, read_signature(model));
  state->pooling = pooling;
  // Nothing that only other outputs need is computed.
  std::erase_if(model.graph.outputs,
                [&](const ValueInfo& v) { return v.name != state->signature.output; });
  StreamedOptions how;
  how.pool = options.pool;
  if (!options.stream) how.weight_bytes = std::numeric_limits<size_t>::max();
  OCTAVO_TRY(state->plain, StreamedModel::create(std::move(model), std::move(how)));
  state->width = static_cast<size_t>(std::max<int64_t>(state->signature.width, 0));
  if (state->width == 0) {  // the graph does not say: one token does
    OCTAVO_TRY(const auto one, token_feeds(state->signature.inputs, std::vector<int64_t>{0}, 1));
    StreamedRun run;
    run.texts = {&one, 1};
    run.what.clear();
    run.take = [&](size_t, std::vector<Tensor> outputs) -> Status {
      if (outputs[0].rank() != 0) state->width = static_cast<size_t>(outputs[0].shape().back());
      return Done{};
    };
    OCTAVO_CHECK(state->plain->run(std::move(run)));
  }
  if (state->width == 0) return Error{Code::unsupported, "the model's output has width 0"};
  return Encoder(std::move(state));
}

const FusedModel* Encoder::fused() const { return state_->fused ? &*state_->fused : nullptr; }
const std::string& Encoder::why_plain() const { return state_->why_plain; }
ThreadPool& Encoder::pool() const { return *state_->pool; }
bool Encoder::streams() const { return state_->plain && state_->plain->parts() > 1; }

size_t Encoder::width() const { return state_->width; }

const std::vector<std::string>& Encoder::warnings() const { return state_->signature.warnings; }

Status Encoder::State::check_ids(std::span<const std::vector<int64_t>> ids, size_t first) const {
  const int64_t limit = signature.vocabulary > 0 ? signature.vocabulary
                                                 : int64_t{std::numeric_limits<int32_t>::max()};
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i].empty())
      return Error{Code::invalid_input,
                   text_name(first + i) +
                       " is empty and the tokenizer adds no special tokens to it: there "
                       "is nothing to embed"};
    for (const int64_t id : ids[i]) {
      if (id < 0 || id >= limit)
        return Error{Code::invalid_input,
                     text_name(first + i) + ": token id " + std::to_string(id) +
                         " is outside the model's vocabulary of " + std::to_string(limit) +
                         "; the tokenizer and the model do not belong together"};
    }
  }
  return Done{};
}

std::vector<Run> Encoder::State::plan(std::span<const std::vector<int64_t>> ids,
                                      std::span<const size_t> order) const {
  std::vector<Run> runs;
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t length = ids[order[i]].size();
    if (signature.rows_independent && !runs.empty()) {
      Run& last = runs.back();
      if (ids[order[last.begin]].size() == length &&
          (last.end - last.begin + 1) * length <= kSharedTokens) {
        last.end = i + 1;
        continue;
      }
    }
    runs.push_back({i, i + 1});
  }
  return runs;
}

Result<std::vector<Feed>> Encoder::State::feeds(std::span<const std::vector<int64_t>> ids,
                                                std::span<const size_t> texts) const {
  std::vector<int64_t> flat;
  flat.reserve(texts.size() * ids[texts[0]].size());
  for (const size_t text : texts) flat.insert(flat.end(), ids[text].begin(), ids[text].end());
  return token_feeds(signature.inputs, flat, static_cast<int64_t>(texts.size()));
}

Result<Tensor> Encoder::State::float_states(Tensor states, size_t texts, size_t length) const {
  const auto rows = static_cast<int64_t>(texts);
  const auto last = static_cast<int64_t>(width);
  const Shape expected =
      signature.pooled ? Shape{rows, last} : Shape{rows, static_cast<int64_t>(length), last};
  if (states.shape() != expected)
    return Error{Code::unsupported, "output \"" + signature.output + "\" has shape " +
                                        to_string(states.shape()) + ", expected " +
                                        to_string(expected)};
  if (states.dtype() == DType::f16) {
    OCTAVO_TRY(Tensor wide, Tensor::make(DType::f32, states.shape()));
    const auto narrow = states.values<uint16_t>();
    std::transform(narrow.begin(), narrow.end(), wide.mutable_data<float>(), f16_to_f32);
    states = std::move(wide);
  }
  if (states.dtype() != DType::f32)
    return Error{Code::unsupported, "output \"" + signature.output + "\" is " +
                                        std::string(dtype_name(states.dtype()))};
  return states;
}

Status Encoder::State::pool_rows(std::span<const std::vector<int64_t>> ids,
                                 std::span<const size_t> texts, size_t first, Tensor given,
                                 float* out) const {
  const FloatEnvironment ieee;
  const size_t length = ids[texts[0]].size();
  OCTAVO_TRY(const Tensor states, float_states(std::move(given), texts.size(), length));
  const size_t tokens = signature.pooled ? 1 : length;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<float> row(out + texts[i] * width, width);
    octavo::pool(pooling, states.data<float>() + i * tokens * width, tokens, row);
    if (!all_finite(row))
      return Error{Code::invalid_input,
                   text_name(first + texts[i]) + ": the model's output is not a finite number"};
  }
  return Done{};
}

Result<std::vector<float>> Encoder::encode(std::span<const std::vector<int64_t>> ids, size_t first,
                                           size_t batch_tokens) const {
  const State& s = *state_;
  OCTAVO_CHECK(s.check_ids(ids, first));
  std::vector<float> rows(ids.size() * s.width);
  if (s.fused) {
    OCTAVO_CHECK(encode_ragged(*s.fused->encoder, s.pooling, ids,
                               batch_tokens == 0 ? s.max_batch_tokens : batch_tokens, *s.pool,
                               rows.data(), first));
    return rows;
  }
  // Longest first, so that the threads finish together; equal lengths side by side.
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ids[a].size() > ids[b].size(); });
  const std::vector<Run> runs = s.plan(ids, order);
  const auto texts_of = [&](size_t r) {
    return std::span<const size_t>(order.data() + runs[r].begin, runs[r].end - runs[r].begin);
  };
  std::vector<std::vector<Feed>> feeds;
  for (size_t r = 0; r < runs.size(); ++r) {
    OCTAVO_TRY(feeds.emplace_back(), s.feeds(ids, texts_of(r)));
  }
  StreamedRun run;
  run.texts = feeds;
  run.what.clear();
  run.take = [&](size_t r, std::vector<Tensor> outputs) {
    return s.pool_rows(ids, texts_of(r), first, std::move(outputs[0]), rows.data());
  };
  OCTAVO_CHECK(s.plain->run(std::move(run)));
  return rows;
}

Result<std::vector<float>> Encoder::token_rows(std::span<const int64_t> ids) const {
  const State& s = *state_;
  OCTAVO_CHECK(check(ids));
  std::vector<float> rows(ids.size() * s.width);
  if (s.fused) {
    const size_t offsets[] = {0, ids.size()};
    OCTAVO_CHECK(s.fused->encoder->run(ids, offsets, *s.pool, {}, rows.data()));
  } else {
    if (s.signature.pooled)
      return Error{Code::unsupported, "the model gives one vector a text, and none a token"};
    const std::vector<int64_t> one(ids.begin(), ids.end());
    OCTAVO_TRY(const auto feeds, token_feeds(s.signature.inputs, one, 1));
    StreamedRun run;
    run.texts = {&feeds, 1};
    run.what.clear();
    run.take = [&](size_t, std::vector<Tensor> outputs) -> Status {
      OCTAVO_TRY(const Tensor states, s.float_states(std::move(outputs[0]), 1, ids.size()));
      std::copy_n(states.data<float>(), rows.size(), rows.begin());
      return Done{};
    };
    OCTAVO_CHECK(s.plain->run(std::move(run)));
  }
  if (!all_finite(rows))
    return Error{Code::invalid_input, "the model's output is not a finite number"};
  return rows;
}

Status Encoder::check(std::span<const int64_t> ids, size_t number) const {
  const std::vector<int64_t> one(ids.begin(), ids.end());
  OCTAVO_CHECK(state_->check_ids({&one, 1}, number));
  const size_t positions = state_->fused ? state_->fused->encoder->spec().positions : 0;
  if (positions != 0 && ids.size() > positions)
    return Error{Code::invalid_input, text_name(number) + " has " + std::to_string(ids.size()) +
                                          " tokens; the model is set up for " +
                                          std::to_string(positions)};
  return Done{};
}

}  // namespace octavo
