// Many callers, two embedders, forks, one CPU: the bytes of a serial run, every time.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "embed/raised_folder.h"

namespace octavo {
namespace {

class Hammer : public RaisedFolder {
 protected:
  void SetUp() override {
    RaisedFolder::SetUp();
    texts_ = texts(32, 300);
  }
  std::vector<float> serial(const char* model) const {
    const Embedder embedder = open(folder_ / model, {.threads = 1});
    EXPECT_NE(embedder.explain().find("fused layers"), std::string::npos) << embedder.explain();
    return embedder.embed(texts_)->values;
  }
  // Runs `rounds` requests of 1 to 8 neighbouring texts; whether all had the bytes of `wanted`.
  bool client(const Embedder& embedder, const std::vector<float>& wanted, size_t seed,
              size_t rounds) const {
    const size_t width = embedder.width();
    bool all = true;
    for (size_t n = 0; n < rounds; ++n) {
      const size_t from = (seed * 13 + n * 5) % texts_.size();
      const size_t count = std::min(1 + (seed + n) % 8, texts_.size() - from);
      const auto part = embedder.embed(std::span(texts_).subspan(from, count));
      all = all && part && same(*part, wanted, from * width);
    }
    return all;
  }

  Texts texts_;
};

TEST_F(Hammer, ConcurrentCallersOfOneEngine) {
  const std::vector<float> wanted = serial("int8");
  // A small budget: requests of several batches take turns with others.
  const Embedder embedder = open(folder_ / "int8", {.threads = 3, .max_batch_tokens = 256});
  std::vector<std::thread> threads;
  std::vector<char> same(6, 0);
  for (size_t t = 0; t < same.size(); ++t)
    threads.emplace_back([&, t] { same[t] = client(embedder, wanted, t, 12) ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<char>(6, 1));
}

// Two models with pools of their own in one process; a third comes and goes beside them.
TEST_F(Hammer, TwoEmbeddersInOneProcess) {
  const std::vector<float> bytes = serial("int8");
  const std::vector<float> floats = serial("float");
  EXPECT_NE(bytes, floats);
  const Embedder first = open(folder_ / "int8", {.threads = 2});
  const Embedder second = open(folder_ / "float", {.threads = 3});
  std::vector<std::thread> threads;
  std::vector<char> same(5, 0);
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      same[t] = client(t % 2 == 0 ? first : second, t % 2 == 0 ? bytes : floats, t, 8) ? 1 : 0;
    });
  threads.emplace_back([&] {
    bool all = true;
    for (size_t n = 0; n < 4; ++n)
      all = all && client(open(folder_ / "int8", {.threads = 2}), bytes, n, 1);
    same[4] = all ? 1 : 0;
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<char>(5, 1));
}

TEST_F(Hammer, AForkedChildEmbedsAlone) {
  const std::vector<float> wanted = serial("int8");
  auto embedder = std::make_unique<Embedder>(open(folder_ / "int8", {.threads = 3}));
  ASSERT_TRUE(client(*embedder, wanted, 0, 2));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(60);  // a child that waits for threads it does not have
    const bool good = client(*embedder, wanted, 1, 4);
    embedder.reset();
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(client(*embedder, wanted, 2, 4));
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

TEST_F(Hammer, NoCpuAfterTheLastRequest) {
  const Embedder embedder = open(folder_ / "int8", {.threads = 4});
  ASSERT_TRUE(embedder.embed(texts_));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(cpu_seconds() - before, 0.01);
}

// With a single CPU to run on, threads that wait for each other could spin away the time of the one
// that works. All CPU time is then wall time, and unlike wall time it does not depend on what else
// the machine does: at most three times that of one thread.
TEST_F(Hammer, MoreThreadsThanTheOneCpu) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  const auto cost = [&](int threads) {
    const Embedder embedder = open(folder_ / "int8", {.threads = threads});
    double least = 1e9;
    for (int round = 0; round < 5; ++round) {
      const double before = cpu_seconds();
      EXPECT_TRUE(embedder.embed(texts_));
      least = std::min(least, cpu_seconds() - before);
    }
    return least;
  };
  const double alone = cost(1);
  for (const int threads : {2, 4}) EXPECT_LT(cost(threads), 3 * alone) << threads << " threads";
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

}  // namespace
}  // namespace octavo
