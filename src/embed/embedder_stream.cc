// Embedder::embed_stream: a reading and tokenizing thread, a bounded queue, and the caller's
// thread, which runs the model.

#include <system_error>
#include <thread>

#include "base/out_of_memory.h"
#include "embed/embedder_state.h"
#include "embed/stream_batcher.h"

namespace octavo {

class Embedder::State::Stream {
 public:
  Stream(const State& state, const Plan& plan, size_t batch_tokens)
      : s_(state), plan_(plan), batcher_(batch_tokens) {}

  Status run(const Read& read, const Write& write) {
    std::thread reader;
    try {
      reader = std::thread([&] { batcher_.finish(or_out_of_memory([&] { return fill(read); })); });
    } catch (const std::system_error&) {
      return Error{Code::out_of_memory, "no thread to read the texts with"};
    }
    Status status = or_out_of_memory([&] { return drain(write); });
    batcher_.close();
    reader.join();
    return status;
  }

 private:
  // Until the end of the stream, or until nobody wants more.
  Status fill(const Read& read) {
    for (size_t done = 0;;) {
      OCTAVO_TRY(const auto texts, read());
      if (!texts) return Done{};
      if (texts->empty() && batcher_.closed()) return Done{};
      OCTAVO_TRY(const bool more, push(*texts, done));
      if (!more) return Done{};
      done += texts->size();
    }
  }

  // False when nobody wants more. The texts before one that fails are pushed.
  Result<bool> push(std::span<const std::string> texts, size_t done) {
    Embeddings cuts;
    auto ids = s_.tokenize(texts, plan_, cuts, done);
    if (!ids && texts.size() > 1) {
      for (size_t i = 0; i < texts.size(); ++i) {
        OCTAVO_TRY(const bool more, push(texts.subspan(i, 1), done + i));
        if (!more) return false;
      }
    }
    if (!ids) return std::move(ids).error();
    auto cut = cuts.truncated.begin();
    for (size_t i = 0; i < texts.size(); ++i) {
      StreamText text{std::move((*ids)[i]), 0, texts[i].size()};
      text.full_length = text.ids.size();
      if (cut != cuts.truncated.end() && cut->text == i) text.full_length = (cut++)->full_length;
      if (!batcher_.push(std::move(text))) return false;
    }
    return true;
  }

  Status drain(const Write& write) {
    for (size_t done = 0;;) {
      OCTAVO_TRY(const std::vector<StreamText> batch, batcher_.next());
      if (batch.empty()) return Done{};
      auto result = compute(batch, done);
      if (result) {
        OCTAVO_CHECK(write(*result));
      } else if (result.error().code == Code::out_of_memory) {
        return std::move(result).error();
      } else {  // one by one up to the text that fails
        for (size_t i = 0; i < batch.size(); ++i) {
          OCTAVO_TRY(const Embeddings one, compute({&batch[i], 1}, done + i));
          OCTAVO_CHECK(write(one));
        }
      }
      done += batch.size();
    }
  }

  Result<Embeddings> compute(std::span<const StreamText> texts, size_t done) const {
    Embeddings result;
    std::vector<std::vector<int64_t>> ids;
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t kept = texts[i].ids.size();
      if (texts[i].full_length > kept) result.truncated.push_back({i, texts[i].full_length, kept});
      result.tokens += kept;
      ids.push_back(texts[i].ids);
    }
    OCTAVO_CHECK(s_.compute(ids, plan_, result, done));
    return result;
  }

  const State& s_;
  const Plan& plan_;
  StreamBatcher batcher_;
};

Status Embedder::embed_stream(const Read& read, const Write& write,
                              const EmbedOptions& options) const {
  return or_out_of_memory([&] { return state_->embed_stream(read, write, options); });
}

Status Embedder::State::embed_stream(const Read& read, const Write& write,
                                     const EmbedOptions& options) const {
  OCTAVO_TRY(const Plan how, plan(options));
  // Node by node, equal lengths share a run: the more texts there are, the more of them meet.
  const size_t tokens = how.batch_tokens;
  return Stream(*this, how, encoder->fused() != nullptr ? tokens : 16 * tokens).run(read, write);
}

}  // namespace octavo
