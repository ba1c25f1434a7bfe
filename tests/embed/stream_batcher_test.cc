// Texts of a stream: order, bounds, back-pressure, errors, and the bits of the list.

#include "embed/stream_batcher.h"

#include <atomic>
#include <thread>

#include "embed/raised_folder.h"

namespace octavo {
namespace {

StreamText text(size_t tokens, size_t bytes = 0) {
  return {std::vector<int64_t>(tokens, 1), tokens, bytes};
}

TEST(StreamBatcher, BatchesFillTheBudgetInOrder) {
  StreamBatcher batcher(48, 10);
  for (const size_t tokens : {30U, 1U, 60U, 3U, 17U, 16U}) ASSERT_TRUE(batcher.push(text(tokens)));
  batcher.finish(Done{});
  std::vector<std::vector<size_t>> batches;
  for (;;) {
    const auto batch = batcher.next();
    ASSERT_TRUE(batch);
    if (batch->empty()) break;
    batches.emplace_back();
    for (const StreamText& t : *batch) batches.back().push_back(t.ids.size());
  }
  // 30 + 16; 60 alone; 16 + 17, and the 16 after them does not fit.
  EXPECT_EQ(batches, (std::vector<std::vector<size_t>>{{30, 1}, {60}, {3, 17}, {16}}));
}

// A long text costs those behind it one batch: whatever lies before and after it goes as full
// batches of its own, and none waits for a later one.
TEST(StreamBatcher, ALongTextDelaysByItsOwnBatchOnly) {
  StreamBatcher batcher(64, 100);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(batcher.push(text(16)));
  ASSERT_TRUE(batcher.push(text(5000)));
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(batcher.push(text(16)));
  batcher.finish(Done{});
  std::vector<size_t> sizes;
  for (auto batch = batcher.next(); batch && !batch->empty(); batch = batcher.next())
    sizes.push_back(batch->size());
  EXPECT_EQ(sizes, (std::vector<size_t>{4, 4, 1, 4, 4}));
}

// The producer goes on until the queue is full and no further, until somebody takes.
TEST(StreamBatcher, ASlowConsumerHoldsTheProducer) {
  StreamBatcher batcher(64, 2);
  std::atomic<size_t> pushed{0};
  std::thread producer([&] {
    for (int i = 0; i < 40; ++i) {
      if (!batcher.push(text(16))) return;
      ++pushed;
    }
    batcher.finish(Done{});
  });
  const auto settled = [&] {
    size_t before = pushed;
    for (;;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (pushed == before) return before;
      before = pushed;
    }
  };
  const size_t full = batcher.capacity() / 16;
  EXPECT_EQ(settled(), full);
  size_t taken = 0;
  for (auto batch = batcher.next(); batch && !batch->empty(); batch = batcher.next()) {
    taken += batch->size();
    if (taken <= 12) {
      EXPECT_EQ(settled(), full + taken);
    }
  }
  producer.join();
  EXPECT_EQ(taken, 40U);
}

TEST(StreamBatcher, TextsThatWereCutCountByTheirBytes) {
  StreamBatcher batcher(512, 2);
  std::atomic<size_t> pushed{0};
  std::thread producer([&] {
    while (batcher.push(text(512, size_t{16} << 20))) ++pushed;
  });
  while (pushed == 0) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(pushed.load(), 1U);  // one that is larger than the queue waits alone
  batcher.close();
  producer.join();
}

TEST(StreamBatcher, AnErrorComesBehindTheTextsBeforeIt) {
  StreamBatcher batcher(64);
  ASSERT_TRUE(batcher.push(text(5)));
  batcher.finish(Error{Code::io, "the disk is gone"});
  const auto first = batcher.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 1U);
  const auto second = batcher.next();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "the disk is gone");
}

TEST(StreamBatcher, ClosingReleasesAProducerThatWaits) {
  StreamBatcher batcher(16, 1);
  ASSERT_TRUE(batcher.push(text(16)));
  std::thread producer([&] { EXPECT_FALSE(batcher.push(text(16))); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  batcher.close();
  producer.join();
  EXPECT_FALSE(batcher.push(text(1)));
}

class EmbedStream : public RaisedFolder {
 protected:
  using Chunk = std::optional<Texts>;
  // Hands out `all` in chunks of 1, 2, 3, ... texts.
  static Embedder::Read reader(const Texts& all, std::atomic<size_t>* read = nullptr) {
    return [&all, read, at = size_t{0}, size = size_t{0}]() mutable -> Result<Chunk> {
      if (at == all.size()) return Chunk();
      size = std::min(size + 1, all.size() - at);
      const auto begin = all.begin() + static_cast<ptrdiff_t>(at);
      at += size;
      if (read != nullptr) *read = at;
      return Chunk(Texts(begin, begin + static_cast<ptrdiff_t>(size)));
    };
  }
};

TEST_F(EmbedStream, GivesTheBitsOfTheList) {
  Texts all = texts(200, 120);
  all[17] = "";
  for (const char* model : {"int8", "float"}) {
    for (const bool exact : {false, true}) {
      const Embedder embedder =
          open(folder_ / model, {.exact_onnx = exact, .max_batch_tokens = 300});
      for (const EmbedOptions& options :
           {EmbedOptions{}, EmbedOptions{.max_length = 20, .dimensions = 7, .normalize = true}}) {
        if (exact && options.dimensions != 0) continue;
        const auto wanted = embedder.embed(all, options);
        ASSERT_TRUE(wanted) << wanted.error().message;
        std::vector<float> got;
        std::vector<size_t> cut;
        uint64_t tokens = 0;
        size_t calls = 0;
        const Status status = embedder.embed_stream(
            reader(all),
            [&](const Embeddings& e) -> Status {
              for (const auto& c : e.truncated) cut.push_back(got.size() / e.width + c.text);
              got.insert(got.end(), e.values.begin(), e.values.end());
              tokens += e.tokens;
              ++calls;
              return Done{};
            },
            options);
        ASSERT_TRUE(status) << status.error().message;
        EXPECT_TRUE(got == wanted->values) << model << exact;
        EXPECT_EQ(tokens, wanted->tokens);
        ASSERT_EQ(cut.size(), wanted->truncated.size());
        for (size_t i = 0; i < cut.size(); ++i) EXPECT_EQ(cut[i], wanted->truncated[i].text);
        EXPECT_GT(calls, 1U);
      }
    }
  }
}

TEST_F(EmbedStream, ACallCanAskForOtherBatches) {
  const Embedder embedder = open(folder_ / "int8", {});
  const Texts all = texts(200, 10);
  const auto wanted = embedder.embed(all);
  ASSERT_TRUE(wanted);
  // Of 10 words and two special tokens each, or so; a shorter text counts as 16.
  for (const size_t tokens : {size_t{64}, size_t{640}}) {
    std::vector<float> got;
    const Status status =
        embedder.embed_stream(reader(all),
                              [&](const Embeddings& e) -> Status {
                                EXPECT_LE(e.count(), tokens / 12);
                                got.insert(got.end(), e.values.begin(), e.values.end());
                                return Done{};
                              },
                              {.max_batch_tokens = tokens});
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_TRUE(got == wanted->values);
    EXPECT_TRUE(embedder.embed(all, {.max_batch_tokens = tokens})->values == wanted->values);
  }
}

TEST_F(EmbedStream, ASlowWriterHoldsTheReader) {
  const Embedder embedder = open(folder_ / "int8", {.max_batch_tokens = 64});
  const Texts all = texts(400, 10);
  std::atomic<size_t> read{0};
  size_t written = 0;
  size_t ahead = 0;
  const Status status =
      embedder.embed_stream(reader(all, &read), [&](const Embeddings& e) -> Status {
        if (written < 40) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        written += e.count();
        ahead = std::max(ahead, read - written);
        return Done{};
      });
  ASSERT_TRUE(status);
  EXPECT_EQ(written, all.size());
  // Two batches of 64 tokens wait, four texts each, and one chunk is on its way into the queue.
  EXPECT_LE(ahead, 2 * 4 + 30U);
}

TEST_F(EmbedStream, ErrorsEndItAfterWhatCameBefore) {
  const Embedder embedder = open(folder_ / "int8", {.max_batch_tokens = 200});
  const Texts all = texts(60, 10);
  const auto wanted = embedder.embed(all)->values;
  std::vector<float> got;
  const auto write = [&](const Embeddings& e) -> Status {
    got.insert(got.end(), e.values.begin(), e.values.end());
    return Done{};
  };
  // The reader fails.
  size_t chunk = 0;
  Status status = embedder.embed_stream(
      [&]() -> Result<Chunk> {
        if (chunk == 6) return Error{Code::io, "line 61: gone"};
        ++chunk;
        const auto begin = all.begin() + static_cast<ptrdiff_t>(10 * (chunk - 1));
        return Chunk(Texts(begin, begin + 10));
      },
      write);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "line 61: gone");
  EXPECT_TRUE(got == wanted);
  // The writer fails: the reader is not asked for ever.
  std::atomic<size_t> read{0};
  status = embedder.embed_stream(
      [&]() -> Result<Chunk> { return Chunk(read++ % 2 == 0 ? Texts{"one two"} : Texts{}); },
      [](const Embeddings&) -> Status {
        return Error{Code::io, "disk full"};
      });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "disk full");
  EXPECT_LT(read.load(), 100000U);
  // An option that the model refuses.
  status = embedder.embed_stream(reader(all), write, {.prompt_name = "none"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::not_found);
}

// A text in the middle that the model has no row for: named by its number in the stream, and all
// before it have been written, however the batches fell.
TEST_F(EmbedStream, ATextThatFailsIsNamed) {
  std::ofstream(folder_ / "int8" / "tokenizer.json")
      << test::with(test::kWordLevel, "\"two\": 4", "\"two\": 400");
  const Embedder embedder = open(folder_ / "int8", {.max_batch_tokens = 200});
  Texts all(50, "one three");
  all[33] = "two";
  size_t written = 0;
  const Status status = embedder.embed_stream(reader(all), [&](const Embeddings& e) -> Status {
    written += e.count();
    return Done{};
  });
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("text 34: token id 400"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(written, 33U);
}

}  // namespace
}  // namespace octavo
