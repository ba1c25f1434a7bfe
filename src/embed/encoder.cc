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
#include "runtime/session.h"

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
  std::optional<Session> session;  // when there is no fused
  Signature signature;
  Pooling pooling = Pooling::mean;
  size_t width = 0;

  Status check_ids(std::span<const std::vector<int64_t>> ids, size_t first) const;
  std::vector<Run> plan(std::span<const std::vector<int64_t>> ids,
                        std::span<const size_t> order) const;
  // Hidden states [texts][length][width] (or [texts][width] when the model pools) as float32.
  Result<Tensor> hidden(std::span<const std::vector<int64_t>> ids,
                        std::span<const size_t> texts) const;
  Status encode(std::span<const std::vector<int64_t>> ids, std::span<const size_t> texts,
                size_t first, float* out) const;
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
  OCTAVO_TRY(state->session, Session::create(std::move(model), {.pool = options.pool}));
  state->width = static_cast<size_t>(std::max<int64_t>(state->signature.width, 0));
  if (state->width == 0) {  // the graph does not say: one token does
    const std::vector<int64_t> one{0};
    const size_t first = 0;
    OCTAVO_TRY(const Tensor tensor, state->hidden({&one, 1}, {&first, 1}));
    state->width = static_cast<size_t>(tensor.shape().back());
  }
  if (state->width == 0) return Error{Code::unsupported, "the model's output has width 0"};
  return Encoder(std::move(state));
}

const FusedModel* Encoder::fused() const { return state_->fused ? &*state_->fused : nullptr; }
const std::string& Encoder::why_plain() const { return state_->why_plain; }
ThreadPool& Encoder::pool() const { return *state_->pool; }

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

Result<Tensor> Encoder::State::hidden(std::span<const std::vector<int64_t>> ids,
                                      std::span<const size_t> texts) const {
  const size_t length = ids[texts[0]].size();
  const auto rows = static_cast<int64_t>(texts.size());
  std::vector<int64_t> flat;
  flat.reserve(texts.size() * length);
  for (const size_t text : texts) flat.insert(flat.end(), ids[text].begin(), ids[text].end());
  OCTAVO_TRY(const std::vector<Feed> feeds, token_feeds(signature.inputs, flat, rows));
  OCTAVO_TRY(std::vector<Tensor> outputs, session->run(feeds));
  Tensor& out = outputs[0];
  const auto last = width != 0 ? static_cast<int64_t>(width) : out.rank() ? out.shape().back() : 0;
  const Shape expected =
      signature.pooled ? Shape{rows, last} : Shape{rows, static_cast<int64_t>(length), last};
  if (out.shape() != expected)
    return Error{Code::unsupported, "output \"" + signature.output + "\" has shape " +
                                        to_string(out.shape()) + ", expected " +
                                        to_string(expected)};
  if (out.dtype() == DType::f32) return std::move(out);
  if (out.dtype() != DType::f16)
    return Error{Code::unsupported,
                 "output \"" + signature.output + "\" is " + std::string(dtype_name(out.dtype()))};
  OCTAVO_TRY(Tensor wide, Tensor::make(DType::f32, out.shape()));
  const auto narrow = out.values<uint16_t>();
  std::transform(narrow.begin(), narrow.end(), wide.mutable_data<float>(), f16_to_f32);
  return wide;
}

Status Encoder::State::encode(std::span<const std::vector<int64_t>> ids,
                              std::span<const size_t> texts, size_t first, float* out) const {
  OCTAVO_TRY(const Tensor states, hidden(ids, texts));
  const FloatEnvironment ieee;
  const size_t length = signature.pooled ? 1 : ids[texts[0]].size();
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<float> row(out + texts[i] * width, width);
    octavo::pool(pooling, states.data<float>() + i * length * width, length, row);
    if (!all_finite(row))
      return Error{Code::invalid_input,
                   text_name(first + texts[i]) + ": the model's output is not a finite number"};
  }
  return Done{};
}

Result<std::vector<float>> Encoder::encode(std::span<const std::vector<int64_t>> ids,
                                           size_t first) const {
  const State& s = *state_;
  OCTAVO_CHECK(s.check_ids(ids, first));
  std::vector<float> rows(ids.size() * s.width);
  if (s.fused) {
    OCTAVO_CHECK(encode_ragged(*s.fused->encoder, s.pooling, ids, s.max_batch_tokens, *s.pool,
                               rows.data(), first));
    return rows;
  }
  // Longest first, so that the threads finish together; equal lengths side by side.
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ids[a].size() > ids[b].size(); });
  const std::vector<Run> runs = s.plan(ids, order);
  std::vector<std::optional<Error>> errors(runs.size());
  const auto work = [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      const std::span<const size_t> texts(order.data() + runs[r].begin,
                                          runs[r].end - runs[r].begin);
      if (Status status = s.encode(ids, texts, first, rows.data()); !status)
        errors[r] = std::move(status).error();
    }
  };
  // A run a thread scales better than threads inside a run, as long as no thread has to wait for
  // the last one.
  ThreadPool& pool = s.session->pool();
  if (runs.size() >= 2 * static_cast<size_t>(pool.threads())) {
    pool.parallel_for(runs.size(), 1, work);
  } else {
    work(0, runs.size());
  }
  for (std::optional<Error>& error : errors) {
    if (error) return *std::move(error);
  }
  return rows;
}

}  // namespace octavo
