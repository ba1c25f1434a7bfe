#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace octavo {
namespace {

TEST(ThreadPool, CoversEveryIndexOnceForEverySize) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (const size_t n : {0U, 1U, 2U, 3U, 63U, 64U, 65U, 1000U}) {
      for (const size_t grain : {0U, 1U, 7U, 64U, 5000U}) {
        std::vector<std::atomic<int>> hits(n);
        pool.parallel_for(n, grain, [&](size_t b, size_t e) {
          ASSERT_LE(e, n);
          for (size_t i = b; i < e; ++i) hits[i].fetch_add(1);
        });
        for (size_t i = 0; i < n; ++i) ASSERT_EQ(hits[i].load(), 1) << threads << " " << n;
      }
    }
  }
}

TEST(ThreadPool, NestedAndConcurrentRegionsFinish) {
  ThreadPool pool(3);
  std::atomic<size_t> sum{0};
  const auto client = [&] {
    for (int round = 0; round < 200; ++round) {
      pool.parallel_for(16, 1, [&](size_t b, size_t e) {
        pool.parallel_for(4, 1, [&](size_t b2, size_t e2) { sum += (e - b) * (e2 - b2); });
      });
    }
  };
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) clients.emplace_back(client);
  for (auto& c : clients) c.join();
  EXPECT_EQ(sum.load(), 4U * 200U * 16U * 4U);
}

TEST(ThreadPool, ManyShortRegionsDoNotLoseWork) {
  ThreadPool pool(2);
  for (int round = 0; round < 20000; ++round) {
    std::atomic<int> done{0};
    pool.parallel_for(2, 1, [&](size_t, size_t) { ++done; });
    ASSERT_EQ(done.load(), 2);
  }
}

// Memory that ends inside a body, on whatever thread: the caller learns of it, and the pool goes
// on.
TEST(ThreadPool, WhatABodyThrowsComesOutOnce) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (size_t where = 0; where < 64; ++where) {
      std::atomic<size_t> thrown{0};
      const auto body = [&](size_t begin, size_t end) {
        std::this_thread::yield();  // so that every thread gets a chunk now and then
        if (begin <= where && where < end) {
          ++thrown;
          throw std::bad_alloc();
        }
      };
      EXPECT_THROW(pool.parallel_for(64, 1, body), std::bad_alloc);
      EXPECT_EQ(thrown.load(), 1U);
      std::atomic<size_t> done{0};
      pool.parallel_for(64, 1, [&](size_t begin, size_t end) { done += end - begin; });
      ASSERT_EQ(done.load(), 64U);
    }
  }
}

// Right after a region, and while its threads are only about to begin.
TEST(ThreadPool, EndsAtAnyTime) {
  for (int round = 0; round < 40000; ++round) {
    ThreadPool pool(2);
    if (round % 4 != 0) pool.parallel_for(2, 1, [](size_t, size_t) {});
  }
}

TEST(ThreadPool, SleepsWhenIdle) {
  ThreadPool pool(2);
  pool.parallel_for(64, 1, [](size_t, size_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  // Process CPU time over 200 ms of idling; a spinning worker would use all of it.
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

TEST(ThreadPool, SleepsAfterABusyPass) {
  ThreadPool pool(2);
  {
    const ThreadPool::Busy busy(pool);
    pool.parallel_for(64, 1, [](size_t, size_t) {});
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

// Sixteen spinning threads on fewer CPUs make progress all the same.
TEST(ThreadPool, MoreThreadsThanCpusFinish) {
  ThreadPool pool(16);
  const ThreadPool::Busy busy(pool);
  for (int round = 0; round < 500; ++round) {
    std::atomic<int> done{0};
    pool.parallel_for(32, 1, [&](size_t b, size_t e) { done += static_cast<int>(e - b); });
    ASSERT_EQ(done.load(), 32);
  }
}

TEST(ThreadPool, AForkedChildWorksAlone) {
  auto pool = std::make_unique<ThreadPool>(3);
  pool->parallel_for(8, 1, [](size_t, size_t) {});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int sum = 0;  // not atomic: one thread does it all
    pool->parallel_for(100, 1, [&](size_t b, size_t e) { sum += static_cast<int>(e - b); });
    pool.reset();
    _exit(sum == 100 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  std::atomic<int> done{0};
  pool->parallel_for(100, 1, [&](size_t b, size_t e) { done += static_cast<int>(e - b); });
  EXPECT_EQ(done.load(), 100);
}

}  // namespace
}  // namespace octavo
