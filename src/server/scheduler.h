#pragma once
// One queue of token ids for all clients and models. A thread of its own takes what is there, up to
// a model's budget of tokens, one text of each request in turn, and runs it: nobody waits for a
// full batch, and a request of a thousand texts delays one of a single text by one batch. Which
// texts run together changes no bit of any vector.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "server/metrics.h"

namespace octavo::server {

// The texts of one request. Filled by who submits it; results are his from `done` on.
struct Work {
  using Clock = std::chrono::steady_clock;

  size_t lane = 0;                        // which model
  std::vector<std::vector<int64_t>> ids;  // checked: the model takes each
  bool token_rows = false;                // a row a token instead of one a text
  std::function<void()> done = {};        // called once, soon, on the scheduler's thread

  std::vector<std::vector<float>> rows = {};  // of each text
  std::optional<Error> error = {};            // then rows are not all there
  Clock::time_point submitted = {};
  Clock::time_point started = {};  // when its first text ran

 private:
  friend class Scheduler;
  size_t next_ = 0;       // the first text that has not been taken
  size_t remaining_ = 0;  // texts without a row
  size_t waiting_ = 0;    // cost of those not taken
};

class Scheduler {
 public:
  // How a lane runs; called from the scheduler's thread alone.
  struct Lane {
    size_t budget = 4096;  // tokens that run together
    std::function<Result<std::vector<float>>(std::span<const std::vector<int64_t>>)> rows;
    std::function<Result<std::vector<float>>(std::span<const int64_t>)> token_rows;
  };

  // Errors of the system when there is no thread to be had.
  static Result<std::unique_ptr<Scheduler>> start(std::vector<Lane> lanes, size_t queue_tokens,
                                                  Metrics& metrics);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // Ends after the batch that runs; what waits is dropped without a word.
  ~Scheduler();

  // Accepts the work, or tells after how many seconds to try again: the queue is full. A request
  // larger than the whole queue is taken when nothing else waits.
  std::optional<unsigned> submit(std::shared_ptr<Work> work);
  // Nobody wants the result any more: what has not been taken leaves the queue, done is not called
  // unless it has been already.
  void cancel(const std::shared_ptr<Work>& work);

  size_t waiting_tokens() const;

 private:
  struct Queue {
    Lane lane;
    std::deque<std::shared_ptr<Work>> works;  // in turn
  };
  struct Taken {
    std::shared_ptr<Work> work;
    size_t text;
  };

  Scheduler(std::vector<Lane> lanes, size_t queue_tokens, Metrics& metrics);
  void run();
  std::vector<Taken> take(Queue& queue);
  void compute(const Lane& lane, std::vector<Taken>& batch);
  void compute_one_by_one(const Lane& lane, std::vector<Taken>& batch);
  void finish(const std::vector<Taken>& batch);
  unsigned seconds_of(size_t tokens) const;

  std::vector<Queue> queues_;
  const size_t capacity_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t waiting_ = 0;            // cost of all texts that have not been taken
  size_t turn_ = 0;               // the lane that is looked at first
  double tokens_per_second_ = 0;  // of the last batches, 0: none yet
  bool stop_ = false;
  std::thread thread_;
};

// What a text counts in queue and batch.
size_t text_cost(const std::vector<int64_t>& ids);

}  // namespace octavo::server
