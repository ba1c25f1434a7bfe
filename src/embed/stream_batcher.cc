#include "embed/stream_batcher.h"

#include <algorithm>
#include <utility>

#include "runtime/fused/encoder.h"  // kShortestText

namespace octavo {

StreamBatcher::StreamBatcher(size_t batch_tokens, size_t waiting)
    : batch_(batch_tokens), capacity_(batch_tokens * std::max<size_t>(waiting, 1)) {}

size_t StreamBatcher::cost(const StreamText& text) {
  return std::max({text.ids.size(), fused::kShortestText, text.bytes / kBytes});
}

bool StreamBatcher::push(StreamText text) {
  const size_t tokens = cost(text);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || queue_.empty() || tokens_ + tokens <= capacity_; });
  if (closed_) return false;
  queue_.push_back(std::move(text));
  tokens_ += tokens;
  changed_.notify_all();
  return true;
}

void StreamBatcher::finish(Status status) {
  const std::lock_guard lock(mutex_);
  end_ = std::move(status);
  changed_.notify_all();
}

Result<std::vector<StreamText>> StreamBatcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !queue_.empty() || end_; });
  std::vector<StreamText> batch;
  if (queue_.empty()) {
    if (!*end_) return std::move(*end_).error();
    return batch;
  }
  size_t sum = 0;
  while (!queue_.empty()) {
    const size_t tokens = std::max(queue_.front().ids.size(), fused::kShortestText);
    if (!batch.empty() && sum + tokens > batch_) break;
    sum += tokens;
    tokens_ -= cost(queue_.front());
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  changed_.notify_all();
  return batch;
}

bool StreamBatcher::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void StreamBatcher::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace octavo
