#include "server/scheduler.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <system_error>
#include <utility>

#include "runtime/fused/encoder.h"  // kShortestText

namespace octavo::server {

namespace {

// Nobody should come back in a second that starts now, nor in a day.
constexpr unsigned kSoonest = 1;
constexpr unsigned kLatest = 60;
// How much of the speed is that of the last batch.
constexpr double kNewest = 0.2;

double seconds_since(Work::Clock::time_point start) {
  return std::chrono::duration<double>(Work::Clock::now() - start).count();
}

}  // namespace

size_t text_cost(const std::vector<int64_t>& ids) {
  return std::max(ids.size(), fused::kShortestText);
}

Scheduler::Scheduler(std::vector<Lane> lanes, size_t queue_tokens, Metrics& metrics)
    : capacity_(queue_tokens), metrics_(metrics) {
  for (Lane& lane : lanes) queues_.push_back({std::move(lane), {}});
}

Result<std::unique_ptr<Scheduler>> Scheduler::start(std::vector<Lane> lanes, size_t queue_tokens,
                                                    Metrics& metrics) {
  std::unique_ptr<Scheduler> made(new Scheduler(std::move(lanes), queue_tokens, metrics));
  try {
    made->thread_ = std::thread([scheduler = made.get()] { scheduler->run(); });
  } catch (const std::system_error&) {
    return Error{Code::out_of_memory, "no thread to run the models on"};
  }
  return made;
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

unsigned Scheduler::seconds_of(size_t tokens) const {
  if (tokens_per_second_ <= 0) return kSoonest;
  const double seconds = std::ceil(static_cast<double>(tokens) / tokens_per_second_);
  return static_cast<unsigned>(std::clamp<double>(seconds, kSoonest, kLatest));
}

std::optional<unsigned> Scheduler::submit(std::shared_ptr<Work> work) {
  size_t cost = 0;
  for (const auto& ids : work->ids) cost += text_cost(ids);
  work->waiting_ = cost;
  work->remaining_ = work->ids.size();
  work->rows.resize(work->ids.size());
  work->submitted = Work::Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (waiting_ != 0 && (cost > capacity_ || waiting_ > capacity_ - cost))
      return seconds_of(waiting_);
    waiting_ += cost;
    metrics_.queue_tokens.set(waiting_);
    queues_[work->lane].works.push_back(std::move(work));
  }
  changed_.notify_one();
  return std::nullopt;
}

void Scheduler::cancel(const std::shared_ptr<Work>& work) {
  const std::lock_guard lock(mutex_);
  auto& works = queues_[work->lane].works;
  const auto found = std::find(works.begin(), works.end(), work);
  if (found == works.end()) return;
  waiting_ -= work->waiting_;
  metrics_.queue_tokens.set(waiting_);
  works.erase(found);
}

size_t Scheduler::waiting_tokens() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

// With the lock held.
std::vector<Scheduler::Taken> Scheduler::take(Queue& queue) {
  std::vector<Taken> batch;
  size_t sum = 0;
  while (!queue.works.empty()) {
    std::shared_ptr<Work>& work = queue.works.front();
    // A request for the rows of tokens runs by itself, text by text.
    if (!batch.empty() && (work->token_rows || batch.front().work->token_rows)) break;
    const size_t cost = text_cost(work->ids[work->next_]);
    if (!batch.empty() && sum + cost > queue.lane.budget) break;
    sum += cost;
    waiting_ -= cost;
    work->waiting_ -= cost;
    batch.push_back({work, work->next_++});
    std::shared_ptr<Work> again = std::move(work);
    queue.works.pop_front();
    if (again->next_ < again->ids.size()) queue.works.push_back(std::move(again));
  }
  metrics_.queue_tokens.set(waiting_);
  return batch;
}

void Scheduler::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || waiting_ != 0; });
    if (stop_) return;
    while (queues_[turn_ % queues_.size()].works.empty()) ++turn_;
    Queue& queue = queues_[turn_++ % queues_.size()];
    std::vector<Taken> batch = take(queue);
    lock.unlock();

    const auto start = Work::Clock::now();
    size_t tokens = 0;
    for (const Taken& taken : batch) {
      if (taken.text == 0) taken.work->started = start;
      tokens += taken.work->ids[taken.text].size();
    }
    try {
      compute(queue.lane, batch);
    } catch (const std::bad_alloc&) {
      for (Taken& taken : batch)
        if (!taken.work->error) taken.work->error = Error{Code::out_of_memory, "out of memory"};
    }
    const double seconds = seconds_since(start);
    metrics_.batch_tokens.observe(static_cast<double>(tokens));
    metrics_.batch_texts.observe(static_cast<double>(batch.size()));
    metrics_.batch_seconds.observe(seconds);
    metrics_.tokens.add(tokens);
    metrics_.texts.add(batch.size());
    finish(batch);
    batch.clear();

    lock.lock();
    const double speed = static_cast<double>(tokens) / std::max(seconds, 1e-6);
    tokens_per_second_ = tokens_per_second_ == 0
                             ? speed
                             : tokens_per_second_ + kNewest * (speed - tokens_per_second_);
  }
}

void Scheduler::compute(const Lane& lane, std::vector<Taken>& batch) {
  if (batch.front().work->token_rows) return compute_one_by_one(lane, batch);
  std::vector<std::vector<int64_t>> ids;
  ids.reserve(batch.size());
  for (Taken& taken : batch) ids.push_back(taken.work->ids[taken.text]);
  const Result<std::vector<float>> rows = lane.rows(ids);
  // A text that fails must not take its neighbours with it.
  if (!rows) return compute_one_by_one(lane, batch);
  const size_t width = rows->size() / batch.size();
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto from = rows->begin() + static_cast<ptrdiff_t>(i * width);
    batch[i].work->rows[batch[i].text].assign(from, from + static_cast<ptrdiff_t>(width));
  }
}

void Scheduler::compute_one_by_one(const Lane& lane, std::vector<Taken>& batch) {
  for (Taken& taken : batch) {
    const std::vector<int64_t>& ids = taken.work->ids[taken.text];
    Result<std::vector<float>> row =
        taken.work->token_rows ? lane.token_rows(ids) : lane.rows({&ids, 1});
    if (row) {
      taken.work->rows[taken.text] = *std::move(row);
    } else {
      metrics_.failed_texts.add();
      if (!taken.work->error) taken.work->error = std::move(row).error();
    }
  }
}

void Scheduler::finish(const std::vector<Taken>& batch) {
  for (const Taken& taken : batch) {
    if (--taken.work->remaining_ == 0 && taken.work->done) taken.work->done();
  }
}

}  // namespace octavo::server
