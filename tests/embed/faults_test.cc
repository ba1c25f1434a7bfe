// What an embedder does when the system says no: an error that says so, never a crash, a deadlock
// or other numbers, and the next call works.

#include "faults.h"

#include <sys/resource.h>

#include <csignal>

#include "base/thread_pool.h"
#include "embed/raised_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

// Every one of the first calls, then ever larger steps: opening allocates some ten thousand times.
std::vector<long> picks(long calls) {
  std::vector<long> out;
  for (long n = 1; n <= calls; n += 1 + n / 60) out.push_back(n);
  return out;
}

class Faults : public RaisedFolder {
 protected:
  void SetUp() override {
    RaisedFolder::SetUp();
    texts_ = texts(9, 150);
    const auto embeddings = open(folder_ / "int8").embed(texts_);
    ASSERT_TRUE(embeddings) << embeddings.error().message;
    wanted_ = embeddings->values;
  }
  void TearDown() override {
    for (test::Fault* fault : {&test::memory, &test::mappings, &test::threads}) fault->arm(0);
    test::memory.spare_below(0);
    RaisedFolder::TearDown();
  }
  // Opens with each call that `fault` counts failing in turn; gives how many opened all the same.
  size_t open_with(test::Fault& fault, bool packed, std::vector<Code> allowed) {
    const auto prepare = [&] {
      if (!packed) fs::remove_all(folder_ / "cache");
    };
    prepare();
    fault.arm(0);
    static_cast<void>(open(folder_ / "int8", {.threads = 3}));
    const fs::path model = folder_ / "int8";
    size_t opened = 0;
    for (const long n : picks(fault.calls())) {
      prepare();
      fault.arm(n);
      auto embedder = Embedder::open(model, {.threads = 3});
      fault.arm(0);
      if (!embedder) {
        EXPECT_NE(std::find(allowed.begin(), allowed.end(), embedder.error().code), allowed.end())
            << "call " << n << ": " << embedder.error().message;
        continue;
      }
      ++opened;
      const auto got = embedder->embed(texts_);
      EXPECT_TRUE(got && same(*got, wanted_)) << "call " << n << ": " << embedder->explain();
    }
    EXPECT_TRUE(same(*open(folder_ / "int8").embed(texts_), wanted_));
    return opened;
  }

  Texts texts_;
  std::vector<float> wanted_;
};

// Requests of 1 KiB and more: libstdc++ 12 leaves a path broken when memory ends inside its
// operator/=, which nobody can catch.
TEST_F(Faults, MemoryEndsWhileOpening) {
  test::memory.spare_below(1024);
  open_with(test::memory, false, {Code::out_of_memory});
  open_with(test::memory, true, {Code::out_of_memory});
}

TEST_F(Faults, MemoryEndsWhileEmbedding) {
  const Embedder embedder = open(folder_ / "int8", {.threads = 3});
  const auto embed = [&](long at, long more) {
    test::memory.arm(at, more);
    auto got = embedder.embed(texts_);
    test::memory.arm(0);
    return got;
  };
  ASSERT_TRUE(embed(0, 0));
  size_t failed = 0;
  // One allocation, or that and all after it on every thread.
  for (const long more : {0L, 1000000L}) {
    for (long n = 1; n < 400; ++n) {
      const auto got = embed(n, more);
      if (got) {
        EXPECT_TRUE(same(*got, wanted_)) << n;
      } else {
        EXPECT_EQ(got.error().code, Code::out_of_memory) << n << ": " << got.error().message;
        ++failed;
      }
    }
  }
  EXPECT_GE(failed, 20U);
  const auto after = embedder.embed(texts_);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_TRUE(same(*after, wanted_));
}

// A packed file that cannot be mapped is made again, in memory if need be; a model that cannot be
// mapped is an error.
TEST_F(Faults, MappingsFail) {
  EXPECT_GE(open_with(test::mappings, true, {Code::io}), 1U);
  EXPECT_GE(open_with(test::mappings, false, {Code::io}), 1U);
}

TEST_F(Faults, ThreadsAreRefused) {
  test::threads.arm(2, 1000);
  ThreadPool pool(5);
  test::threads.arm(0);
  EXPECT_EQ(pool.threads(), 2);
  size_t hits = 0;
  ThreadPool(1).parallel_for(9, 2, [&](size_t begin, size_t end) { hits += end - begin; });
  EXPECT_EQ(hits, 9U);
  EXPECT_EQ(open_with(test::threads, true, {}), 2U);
}

// The packed file outgrows what the process may write: the model stays in memory, nothing is left
// behind, and what was packed before stays as it was.
TEST_F(Faults, NoRoomForPackedWeights) {
  const auto files = [&] {
    std::vector<std::pair<fs::path, std::string>> all;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache"))
      all.emplace_back(entry.path(), read(entry.path()));
    return all;
  };
  const auto before = files();
  ASSERT_EQ(before.size(), 1U);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{2048, limit.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto embedder = Embedder::open(folder_ / "float", {.threads = 2});
  setrlimit(RLIMIT_FSIZE, &limit);
  ASSERT_TRUE(embedder) << embedder.error().message;
  EXPECT_NE(embedder->explain().find("in memory only"), std::string::npos) << embedder->explain();
  EXPECT_EQ(files(), before);
  EXPECT_TRUE(same(*embedder->embed(texts_), open(folder_ / "float").embed(texts_)->values));
}

}  // namespace
}  // namespace octavo
