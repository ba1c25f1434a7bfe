#include "hub/cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, 'c');
const std::string kRepository = "models--org--name";

class HubCache : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    settings_.cache = folder_;
  }
  // A snapshot as the Python client leaves it.
  void snapshot(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      std::string etag = "e-" + name;
      std::replace(etag.begin(), etag.end(), '/', '_');
      put(kRepository + "/blobs/" + etag, "xyz");
      ASSERT_TRUE(hub::Cache(settings_, name_).link(kCommit, name, etag));
    }
    put(kRepository + "/refs/main", kCommit);
  }
  HubSettings settings_;
  HubName name_{"org/name", "main"};
};

TEST_F(HubCache, LinksAreRelativeAndReplaced) {
  const hub::Cache cache(settings_, name_);
  ASSERT_TRUE(cache.prepare());
  put(kRepository + "/blobs/abc", "content");
  ASSERT_TRUE(cache.link(kCommit, "config.json", "abc"));
  ASSERT_TRUE(cache.link(kCommit, "onnx/deep/model.onnx", "old"));
  ASSERT_TRUE(cache.link(kCommit, "onnx/deep/model.onnx", "abc"));
  const fs::path at = folder_ / kRepository / "snapshots" / kCommit;
  EXPECT_EQ(fs::read_symlink(at / "config.json"), "../../blobs/abc");
  EXPECT_EQ(fs::read_symlink(at / "onnx/deep/model.onnx"), "../../../../blobs/abc");
  EXPECT_EQ(read(at / "onnx/deep/model.onnx"), "content");
  EXPECT_TRUE(cache.has(kCommit, {"config.json", 7, {}}));
  EXPECT_FALSE(cache.has(kCommit, {"config.json", 8, {}}));
  EXPECT_EQ(cache.files(kCommit).size(), 2U);
}

TEST_F(HubCache, ThreadsMayLinkTheSameFileAtOnce) {
  const hub::Cache cache(settings_, name_);
  ASSERT_TRUE(cache.prepare());
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, etag = std::string(1, static_cast<char>('a' + t))] {
      for (int i = 0; i < 100; ++i) failed += cache.link(kCommit, "config.json", etag) ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  const fs::path folder = folder_ / kRepository / "snapshots" / kCommit;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
}

TEST_F(HubCache, RevisionsAreFilesWithACommit) {
  const hub::Cache cache(settings_, name_);
  EXPECT_EQ(cache.commit_of(kCommit), kCommit);
  EXPECT_FALSE(cache.commit_of("main"));
  ASSERT_TRUE(cache.set_revision("refs/pr/1", kCommit));
  EXPECT_EQ(read(folder_ / kRepository / "refs/refs/pr/1"), kCommit);
  EXPECT_EQ(cache.commit_of("refs/pr/1"), kCommit);
  put(kRepository + "/refs/main", kCommit + "\n");
  EXPECT_EQ(cache.commit_of("main"), kCommit);
  put(kRepository + "/refs/main", "../../../etc");
  EXPECT_FALSE(cache.commit_of("main"));
}

TEST_F(HubCache, LocksAreThoseOfThePythonClient) {
  const hub::Cache cache(settings_, name_);
  ASSERT_TRUE(cache.prepare());
  const fs::path file = folder_ / ".locks" / kRepository / "abc.lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT, 0666);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  std::atomic<int> waited{0};
  std::thread other([&] {
    while (waited == 0) std::this_thread::yield();
    ::flock(fd, LOCK_UN);
  });
  {
    const auto locks = cache.lock({"def", "abc", "abc"}, [&] { return ++waited > 0; });
    ASSERT_TRUE(locks);
    EXPECT_GE(waited, 1);
    EXPECT_NE(::flock(fd, LOCK_EX | LOCK_NB), 0);
  }
  EXPECT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  other.join();
  const auto given_up = cache.lock({"abc", "def"}, [] { return false; });
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, Code::io);
  ::close(fd);
}

const std::vector<std::string> kAll = {"tokenizer.json",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "config.json",
                                       "merges.txt",
                                       "vocab.json",
                                       "vocab.txt",
                                       "modules.json",
                                       "1_Pooling/config.json",
                                       "config_sentence_transformers.json",
                                       "sentence_bert_config.json"};

TEST_F(HubCache, FindsAWholeSnapshot) {
  snapshot(kAll);
  EXPECT_FALSE(find_cached(name_, {}, settings_));
  snapshot({"model.safetensors"});
  const auto found = find_cached(name_, {}, settings_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->commit, kCommit);
  EXPECT_EQ(found->source, folder_ / kRepository / "snapshots" / kCommit);
  EXPECT_EQ(found->files.size(), kAll.size() + 1);
  EXPECT_TRUE(find_cached({"org/name", kCommit}, {}, settings_));
  EXPECT_FALSE(find_cached({"org/name", "dev"}, {}, settings_));
  EXPECT_FALSE(find_cached({"org/other", "main"}, {}, settings_));
  EXPECT_FALSE(find_cached(name_, {.weights = HubWeights::onnx, .include = {}}, settings_));
}

TEST_F(HubCache, APartOfASnapshotIsNone) {
  snapshot({"model.safetensors", "config.json", "tokenizer.json"});
  // Whether the repository has a pooling is not known.
  const auto part = find_cached(name_, {}, settings_);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().code, Code::not_found);
  EXPECT_NE(part.error().message.find("1_Pooling/config.json"), std::string::npos);
  HubSettings offline = settings_;
  offline.offline = true;
  const auto used = find_cached(name_, {}, offline);
  ASSERT_TRUE(used);
  ASSERT_EQ(used->notes.size(), 1U);
  EXPECT_NE(used->notes[0].find("1_Pooling/config.json"), std::string::npos);
  const hub::Cache cache(settings_, name_);
  for (const std::string& name : kAll) {
    if (name == "config.json" || name == "tokenizer.json") continue;
    ASSERT_TRUE(cache.note_absent(kCommit, name));
  }
  EXPECT_TRUE(find_cached(name_, {}, settings_));
  fs::remove(folder_ / kRepository / "blobs/e-model.safetensors");
  EXPECT_FALSE(find_cached(name_, {}, settings_));
}

TEST_F(HubCache, TheClientsOwnListTellsWhatThereIs) {
  snapshot({"model.safetensors", "config.json", "tokenizer.json"});
  put(kRepository + "/trees/" + kCommit + ".json",
      R"({"format_version":1,"files":{"model.safetensors":{},"config.json":{},"tokenizer.json":{}}})");
  EXPECT_TRUE(find_cached(name_, {}, settings_));
  put(kRepository + "/trees/" + kCommit + ".json", R"({"files":{"modules.json":{}}})");
  EXPECT_FALSE(find_cached(name_, {}, settings_));
}

TEST_F(HubCache, AllShardsOrNone) {
  snapshot(kAll);
  snapshot({"model-1.safetensors", "model.safetensors.index.json"});
  put(kRepository + "/blobs/e-model.safetensors.index.json",
      R"({"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  EXPECT_FALSE(find_cached(name_, {}, settings_));
  snapshot({"model-2.safetensors"});
  EXPECT_TRUE(find_cached(name_, {}, settings_));
}

TEST_F(HubCache, OneGgufIsTheSource) {
  snapshot({"a.gguf"});
  const auto found =
      find_cached(name_, {.weights = HubWeights::importable, .include = {}}, settings_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source.filename(), "a.gguf");
}

}  // namespace
}  // namespace octavo
