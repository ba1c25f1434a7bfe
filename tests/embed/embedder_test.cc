#include "octavo/embedder.h"

#include <cstring>
#include <thread>

#include "embed/tiny_encoder.h"
#include "formats/onnx.h"
#include "temp_folder.h"
#include "tensor/compare.h"
#include "text/tiny_tokenizer.h"

namespace octavo {
namespace {

using test::kWidth;
using Texts = std::vector<std::string>;

class EmbedderTest : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    put("tokenizer.json", test::kWordLevel);
    put("config.json", R"({"architectures": ["BertModel"], "max_position_embeddings": 16})");
    put("sentence_bert_config.json", R"({"max_seq_length": 6})");
    put("config_sentence_transformers.json", R"({"prompts": {"query": "three two ",
        "document": ""}, "default_prompt_name": null})");
    put("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    put_modules(true);
    ASSERT_TRUE(write_onnx(test::tiny_encoder(), folder_ / "model.onnx"));
  }
  void put_modules(bool normalize) const {
    const std::string type = R"("type": "sentence_transformers.models.)";
    put("modules.json",
        "[{" + type + "Transformer\", \"path\": \"\"}, {" + type +
            "Pooling\", \"path\": \"1_Pooling\"}" +
            (normalize ? ", {" + type + "Normalize\", \"path\": \"2_Normalize\"}" : "") + "]");
  }
  Embedder open(int threads = 2) const {
    auto embedder = Embedder::open(folder_, {.model_file = "", .threads = threads});
    if (!embedder) throw std::runtime_error(embedder.error().message);
    return *std::move(embedder);
  }
};

std::vector<float> row(const Embeddings& e, size_t i) { return {e.row(i).begin(), e.row(i).end()}; }

TEST_F(EmbedderTest, EmbedsAndReportsWhatItUsed) {
  const Embedder embedder = open();
  EXPECT_EQ(embedder.width(), static_cast<size_t>(kWidth));
  EXPECT_EQ(embedder.max_length(), 6u);
  EXPECT_EQ(embedder.prompt_names(), (Texts{"document", "query"}));
  EXPECT_EQ(embedder.prompts().at("document"), "");
  EXPECT_EQ(embedder.default_prompt_name(), "");
  EXPECT_EQ(embedder.similarity(), "");
  EXPECT_EQ(embedder.folder(), folder_);
  EXPECT_TRUE(embedder.warnings().empty()) << embedder.warnings()[0];
  const auto result = embedder.embed(Texts{"one two", "one two three one two three", ""});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->count(), 3u);
  EXPECT_EQ(result->tokens, 4u + 6u + 2u);
  ASSERT_EQ(result->truncated.size(), 1u);
  EXPECT_EQ(result->truncated[0].text, 1u);
  EXPECT_EQ(result->truncated[0].full_length, 8u);
  EXPECT_EQ(result->truncated[0].kept, 6u);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(norm(result->row(i)), 1.0, 1e-6);
  EXPECT_EQ(embedder.embed(Texts{})->count(), 0u);
}

TEST_F(EmbedderTest, BoundsTheTokensOfABatch) {
  for (const size_t tokens : {size_t{1} << 24, size_t{1}})
    EXPECT_TRUE(Embedder::open(folder_, {.max_batch_tokens = tokens, .cache = false}));
  for (const size_t tokens : {(size_t{1} << 24) + 1, SIZE_MAX}) {
    const auto refused = Embedder::open(folder_, {.max_batch_tokens = tokens, .cache = false});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_input);
    const auto called = open().embed(Texts{"one"}, {.max_batch_tokens = tokens});
    ASSERT_FALSE(called);
    EXPECT_EQ(called.error().code, Code::invalid_input);
  }
}

TEST_F(EmbedderTest, APromptIsPutBeforeTheText) {
  const Embedder embedder = open();
  const Texts text{"one"};
  const auto prompted = embedder.embed(text, {.prompt_name = "query"});
  ASSERT_TRUE(prompted) << prompted.error().message;
  EXPECT_EQ(prompted->values, embedder.embed(Texts{"three two one"})->values);
  EXPECT_EQ(embedder.embed(text, {.prompt_name = "document"})->values,
            embedder.embed(text)->values);
  const auto unknown = embedder.embed(text, {.prompt_name = "passage"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::not_found);
  EXPECT_NE(unknown.error().message.find("document, query"), std::string::npos)
      << unknown.error().message;

  put("config_sentence_transformers.json",
      R"({"prompts": {"query": "three two "}, "default_prompt_name": "query"})");
  const Embedder defaulted = open();
  EXPECT_EQ(defaulted.embed(text)->values, prompted->values);
  EXPECT_EQ(defaulted.default_prompt_name(), "query");
  // A prompt's text takes the place of the default one: it is not put before that.
  EXPECT_EQ(defaulted.embed(text, {.prompt = ""})->values, embedder.embed(text)->values);
  for (const Embedder* one : {&embedder, &defaulted})
    EXPECT_EQ(one->embed(text, {.prompt = "three two "})->values, prompted->values);
  const auto both = defaulted.embed(text, {.prompt_name = "query", .prompt = "two "});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, Code::invalid_input);
  // A prompt that should not count in the mean is refused, not counted.
  put("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "include_prompt": false})");
  for (const EmbedOptions& options : {EmbedOptions{}, EmbedOptions{.prompt = "two "}}) {
    const auto excluded = open().embed(text, options);
    ASSERT_FALSE(excluded);
    EXPECT_EQ(excluded.error().code, Code::unsupported);
  }
  EXPECT_EQ(open().embed(text, {.prompt = ""})->values, embedder.embed(text)->values);
}

TEST_F(EmbedderTest, DimensionsKeepTheFirstAndNormaliseAgain) {
  const Embedder embedder = open();
  const Texts texts{"one", "two three"};
  const auto raw = embedder.embed(texts, {.normalize = false});
  const auto cut = embedder.embed(texts, {.dimensions = 3});
  const auto cut_raw = embedder.embed(texts, {.dimensions = 3, .normalize = false});
  ASSERT_TRUE(raw && cut && cut_raw);
  EXPECT_EQ(cut->width, 3u);
  EXPECT_EQ(cut->values.size(), 6u);
  for (size_t i = 0; i < 2; ++i) {
    const auto head = raw->row(i).first(3);
    EXPECT_EQ(row(*cut_raw, i), std::vector<float>(head.begin(), head.end()));
    EXPECT_NEAR(norm(cut->row(i)), 1.0, 1e-6);
    EXPECT_NEAR(cosine(cut->row(i), head), 1.0, 1e-6);
  }
  EXPECT_EQ(embedder.embed(texts, {.dimensions = kWidth})->values, embedder.embed(texts)->values);
  const auto many = embedder.embed(texts, {.dimensions = kWidth + 1});
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, Code::invalid_input);
}

TEST_F(EmbedderTest, NormalisesAsTheModelSaysUnlessTold) {
  put_modules(false);
  const Embedder embedder = open();
  const Texts text{"one two"};
  EXPECT_GT(norm(embedder.embed(text)->row(0)), 1.001);
  EXPECT_NEAR(norm(embedder.embed(text, {.normalize = true})->row(0)), 1.0, 1e-6);
}

TEST_F(EmbedderTest, MaximumLengthUpToThePositions) {
  const Embedder embedder = open();
  const Texts text{"one two three one two three"};  // eight tokens
  EXPECT_EQ(embedder.embed(text, {.max_length = 3})->truncated.at(0).kept, 3u);
  EXPECT_TRUE(embedder.embed(text, {.max_length = 8})->truncated.empty());
  EXPECT_TRUE(embedder.embed(text, {.max_length = 16})->truncated.empty());
  for (const size_t length : {size_t{1}, size_t{17}}) {
    const auto result = embedder.embed(text, {.max_length = length});
    ASSERT_FALSE(result) << length;
    EXPECT_EQ(result.error().code, Code::invalid_input);
  }
}

// One embedder, many threads at once, mixed lengths: the bytes of a serial run.
TEST_F(EmbedderTest, ConcurrentCallsGiveTheSameBytes) {
  const Embedder embedder = open();
  const Texts words{"one", "two", "three", "four"};
  Texts texts;
  for (size_t i = 0; i < 64; ++i)
    texts.push_back(words[i % 4] + (i % 3 != 0 ? " " + words[(i / 4) % 4] : "") +
                    (i % 5 != 0 ? " one" : ""));
  const auto expected = open(1).embed(texts);
  ASSERT_TRUE(expected);
  std::vector<std::thread> threads;
  std::vector<char> same(6, 0);
  for (size_t t = 0; t < same.size(); ++t) {
    threads.emplace_back([&, t] {
      bool all = true;
      for (size_t n = 0; n < 20; ++n) {
        const size_t from = (t * 7 + n) % 32;
        const auto part = embedder.embed(std::span(texts).subspan(from, 1 + n));
        all = all && part &&
              std::memcmp(part->values.data(), expected->values.data() + from * kWidth,
                          part->values.size() * sizeof(float)) == 0;
      }
      same[t] = all ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<char>(6, 1));
}

TEST_F(EmbedderTest, OpenSaysWhatIsMissing) {
  const auto missing = [&](const std::string& file) {
    const auto embedder = Embedder::open(folder_);
    EXPECT_FALSE(embedder) << file;
    return embedder ? "" : embedder.error().message;
  };
  put("tokenizer.json", "{");
  EXPECT_NE(missing("tokenizer").find("tokenizer.json: "), std::string::npos);
  std::filesystem::remove(folder_ / "tokenizer.json");
  EXPECT_NE(missing("tokenizer").find("tokenizer.json"), std::string::npos);
  put("tokenizer.json", test::kWordLevel);
  put("model.onnx", "not protobuf");
  EXPECT_NE(missing("model").find("model.onnx"), std::string::npos);
  std::filesystem::remove(folder_ / "model.onnx");
  EXPECT_NE(missing("model").find("no model.int8.onnx, model.onnx or onnx/model.onnx"),
            std::string::npos);
  EXPECT_EQ(Embedder::open(folder_ / "no").error().code, Code::not_found);
}

// Token ids that the model has no row for: the tokenizer of another model.
TEST_F(EmbedderTest, AForeignTokenizerIsAnError) {
  put("tokenizer.json", test::with(test::kWordLevel, "\"two\": 4", "\"two\": 400"));
  const auto result = open().embed(Texts{"one", "two"});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("text 2: token id 400"), std::string::npos)
      << result.error().message;
}

}  // namespace
}  // namespace octavo
