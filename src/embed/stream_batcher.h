#pragma once
// Between one thread that reads and tokenizes a stream of texts and one that runs the model: a
// queue bounded in tokens, so that memory does not grow with the stream. Texts leave in the order
// they came, as many at once as fit the budget of a batch, so that a long text (which may fill a
// batch alone) delays those behind it by its own run and by nothing else.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"

namespace octavo {

struct StreamText {
  std::vector<int64_t> ids;
  size_t full_length = 0;  // tokens before it was cut
  size_t bytes = 0;        // of memory that wait with it
};

class StreamBatcher {
 public:
  // The queue takes `waiting` batches; texts whose tokens are few and bytes many count by kBytes.
  explicit StreamBatcher(size_t batch_tokens, size_t waiting = 2);

  // The reader's side. push waits while the queue is full; false: nobody wants more.
  bool push(StreamText text);
  // After the last push, once; an error comes out behind the texts that came before it.
  void finish(Status status);

  // The other side: waits for a text, then takes what is there, up to the budget or one longer
  // text. Empty at the end.
  Result<std::vector<StreamText>> next();
  // No more is wanted: a push that waits, and every later one, returns false. From any thread.
  void close();
  bool closed() const;

  // Most tokens that wait at once (a longer text waits alone).
  size_t capacity() const { return capacity_; }

 private:
  // A token's share of memory when its text is kept beside it: a text of 16 MB that was cut to
  // 512 tokens counts as 65,536.
  static constexpr size_t kBytes = 256;
  static size_t cost(const StreamText& text);

  const size_t batch_;
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<StreamText> queue_;
  size_t tokens_ = 0;  // cost of the queue
  bool closed_ = false;
  std::optional<Status> end_;
};

}  // namespace octavo
