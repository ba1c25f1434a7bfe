// The queue: who runs with whom, who waits, who is turned away. The models are functions here.

#include "server/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace octavo::server {
namespace {

using Ids = std::vector<int64_t>;

// A text's row is its first id and its length.
std::vector<float> row_of(std::span<const int64_t> ids) {
  return {static_cast<float>(ids[0]), static_cast<float>(ids.size())};
}

// Runs only when the test says so, and remembers what ran together.
class Model {
 public:
  Scheduler::Lane lane(size_t budget) {
    Scheduler::Lane lane;
    lane.budget = budget;
    lane.rows = [this](std::span<const Ids> ids) -> Result<std::vector<float>> {
      wait();
      std::vector<int64_t> first;
      std::vector<float> rows;
      for (const Ids& text : ids) {
        first.push_back(text[0]);
        if (text[0] == bad_) return Error{Code::invalid_input, "not a finite number"};
        const auto row = row_of(text);
        rows.insert(rows.end(), row.begin(), row.end());
      }
      const std::lock_guard lock(mutex_);
      batches_.push_back(first);
      return rows;
    };
    lane.token_rows = [](std::span<const int64_t> ids) -> Result<std::vector<float>> {
      return std::vector<float>(ids.size() * 2, static_cast<float>(ids[0]));
    };
    return lane;
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void go() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // Until it stands before a batch.
  void wait_until_held() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_; });
  }
  std::vector<std::vector<int64_t>> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  void fail_on(int64_t id) { bad_ = id; }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    waiting_ = false;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<int64_t>> batches_;
  std::atomic<int64_t> bad_{-1};
  bool held_ = false;
  bool waiting_ = false;
};

struct Submitted {
  std::shared_ptr<Work> work;
  std::future<void> done;
};

// Texts of so many tokens each, the first id telling them apart.
std::shared_ptr<Work> texts(std::vector<int64_t> first, size_t tokens, size_t lane = 0) {
  auto work = std::make_shared<Work>();
  work->lane = lane;
  for (const int64_t id : first) {
    Ids ids(tokens, 1);
    ids[0] = id;
    work->ids.push_back(std::move(ids));
  }
  return work;
}

Submitted submit(Scheduler& scheduler, std::shared_ptr<Work> work) {
  auto promise = std::make_shared<std::promise<void>>();
  work->done = [promise] { promise->set_value(); };
  EXPECT_EQ(scheduler.submit(work), std::nullopt);
  return {std::move(work), promise->get_future()};
}

class SchedulerTest : public testing::Test {
 protected:
  void start(size_t budget, size_t queue_tokens = 100'000) {
    std::vector<Scheduler::Lane> lanes;
    lanes.push_back(model_.lane(budget));
    lanes.push_back(model_.lane(budget));
    auto started = Scheduler::start(std::move(lanes), queue_tokens, metrics_);
    ASSERT_TRUE(started);
    scheduler_ = *std::move(started);
  }
  void TearDown() override {
    model_.go();
    scheduler_.reset();
  }
  // Occupies the model until go(), so that what is submitted meanwhile waits.
  Submitted occupy() {
    model_.hold();
    Submitted submitted = submit(*scheduler_, texts({99}, 16));
    model_.wait_until_held();
    return submitted;
  }

  Metrics metrics_;
  Model model_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, EveryTextGetsItsOwnRow) {
  start(64);
  const Submitted one = submit(*scheduler_, texts({7, 8, 9}, 20));
  one.done.wait();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(one.work->rows[i], (std::vector<float>{7.0F + static_cast<float>(i), 20}));
  EXPECT_FALSE(one.work->error);
  EXPECT_EQ(metrics_.texts.value(), 3U);
  EXPECT_EQ(metrics_.tokens.value(), 60U);
}

TEST_F(SchedulerTest, ClientsTakeTurnsTextByText) {
  start(64);  // four texts of 16 tokens
  const Submitted busy = occupy();
  const Submitted large = submit(*scheduler_, texts({1, 2, 3, 4, 5, 6, 7, 8}, 16));
  const Submitted small = submit(*scheduler_, texts({50}, 16));
  const Submitted pair = submit(*scheduler_, texts({60, 61}, 16));
  model_.go();
  large.done.wait();
  const std::vector<std::vector<int64_t>> expected = {
      {99}, {1, 50, 60, 2}, {61, 3, 4, 5}, {6, 7, 8}};
  EXPECT_EQ(model_.batches(), expected);
}

TEST_F(SchedulerTest, ALongTextRunsAloneAndIsNotOvertakenForEver) {
  start(64);
  const Submitted busy = occupy();
  const Submitted small = submit(*scheduler_, texts({1, 2}, 40));
  const Submitted large = submit(*scheduler_, texts({5}, 500));
  model_.go();
  large.done.wait();
  small.done.wait();
  const std::vector<std::vector<int64_t>> expected = {{99}, {1}, {5}, {2}};
  EXPECT_EQ(model_.batches(), expected);
}

TEST_F(SchedulerTest, ShortTextsCountAsSixteenTokens) {
  start(32);
  const Submitted busy = occupy();
  const Submitted many = submit(*scheduler_, texts({1, 2, 3}, 1));
  EXPECT_EQ(scheduler_->waiting_tokens(), 48U);
  model_.go();
  many.done.wait();
  const std::vector<std::vector<int64_t>> expected = {{99}, {1, 2}, {3}};
  EXPECT_EQ(model_.batches(), expected);
}

TEST_F(SchedulerTest, AFullQueueTurnsAway) {
  start(64, 100);
  const Submitted busy = occupy();
  const Submitted fits = submit(*scheduler_, texts({1, 2}, 40));
  const std::optional<unsigned> later = scheduler_->submit(texts({3}, 40));
  ASSERT_TRUE(later);
  EXPECT_GE(*later, 1U);
  const Submitted exact = submit(*scheduler_, texts({4}, 20));
  EXPECT_EQ(scheduler_->waiting_tokens(), 100U);
  model_.go();
  fits.done.wait();
  exact.done.wait();
}

TEST_F(SchedulerTest, ARequestLargerThanTheQueueRunsWhenNothingWaits) {
  start(64, 100);
  const Submitted large = submit(*scheduler_, texts({1, 2, 3}, 60));
  large.done.wait();
  EXPECT_EQ(large.work->rows.size(), 3U);
}

TEST_F(SchedulerTest, WhoLeavesLeavesTheQueue) {
  start(64);
  const Submitted busy = occupy();
  const Submitted leaves = submit(*scheduler_, texts({1, 2, 3, 4, 5}, 30));
  const Submitted stays = submit(*scheduler_, texts({6}, 30));
  scheduler_->cancel(leaves.work);
  EXPECT_EQ(scheduler_->waiting_tokens(), 30U);
  scheduler_->cancel(leaves.work);  // again: nothing
  model_.go();
  stays.done.wait();
  const std::vector<std::vector<int64_t>> expected = {{99}, {6}};
  EXPECT_EQ(model_.batches(), expected);
  EXPECT_EQ(leaves.done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(SchedulerTest, AFailureIsItsTextsAlone) {
  start(1000);
  model_.fail_on(3);
  const Submitted busy = occupy();
  const Submitted good = submit(*scheduler_, texts({1, 2}, 16));
  const Submitted bad = submit(*scheduler_, texts({3, 4}, 16));
  model_.go();
  good.done.wait();
  bad.done.wait();
  EXPECT_FALSE(good.work->error);
  EXPECT_EQ(good.work->rows[1], (std::vector<float>{2, 16}));
  ASSERT_TRUE(bad.work->error);
  EXPECT_EQ(bad.work->error->message, "not a finite number");
  EXPECT_EQ(metrics_.failed_texts.value(), 1U);
}

TEST_F(SchedulerTest, RowsOfTokensRunByThemselves) {
  start(1000);
  const Submitted busy = occupy();
  const Submitted pooled = submit(*scheduler_, texts({1}, 16));
  auto work = texts({2, 3}, 20);
  work->token_rows = true;
  const Submitted tokens = submit(*scheduler_, std::move(work));
  model_.go();
  pooled.done.wait();
  tokens.done.wait();
  EXPECT_EQ(tokens.work->rows[1], std::vector<float>(40, 3));
}

TEST_F(SchedulerTest, ModelsTakeTurns) {
  start(16);
  const Submitted busy = occupy();
  const Submitted first = submit(*scheduler_, texts({1, 2}, 16, 0));
  const Submitted second = submit(*scheduler_, texts({4, 5}, 16, 1));
  model_.go();
  first.done.wait();
  second.done.wait();
  const std::vector<std::vector<int64_t>> expected = {{99}, {4}, {1}, {5}, {2}};
  EXPECT_EQ(model_.batches(), expected);
}

TEST_F(SchedulerTest, ManyClientsAtOnce) {
  start(200);
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int64_t c = 0; c < 8; ++c)
    clients.emplace_back([&, c] {
      for (int64_t n = 0; n < 50; ++n) {
        const Submitted s =
            submit(*scheduler_, texts({c * 100 + n, c}, 16 + static_cast<size_t>(n)));
        if (n % 7 == 0) {
          scheduler_->cancel(s.work);
          ++right;
          continue;
        }
        s.done.wait();
        const bool fine = s.work->rows[0][0] == static_cast<float>(c * 100 + n) &&
                          s.work->rows[1][0] == static_cast<float>(c);
        right += fine ? 1 : 0;
      }
    });
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 8 * 50);
  EXPECT_EQ(scheduler_->waiting_tokens(), 0U);
}

// What waits is dropped, and whoever holds its future sees that nobody will answer.
TEST_F(SchedulerTest, EndsWithWorkInTheQueue) {
  start(16);
  const Submitted busy = occupy();
  auto work = texts({1}, 16);
  const std::weak_ptr<Work> watched = work;
  ASSERT_EQ(scheduler_->submit(std::move(work)), std::nullopt);
  std::thread release([&] { model_.go(); });
  scheduler_.reset();
  release.join();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace octavo::server
