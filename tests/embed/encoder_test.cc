#include "embed/encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "embed/signature.h"
#include "embed/tiny_encoder.h"
#include "runtime/session.h"

namespace octavo {
namespace {

using test::kVocabulary;
using test::kWidth;
using test::tiny_encoder;
using test::TinyOptions;
using Ids = std::vector<std::vector<int64_t>>;

Encoder make(Model model, Pooling pooling = Pooling::mean, int threads = 1) {
  auto encoder =
      Encoder::create(std::move(model), pooling, {.pool = std::make_shared<ThreadPool>(threads)});
  if (!encoder) throw std::runtime_error(encoder.error().message);
  return *std::move(encoder);
}

Error error_of(Model model) {
  auto encoder = Encoder::create(std::move(model), Pooling::mean);
  return encoder ? Error{Code::internal, "(no error)"} : encoder.error();
}

Ids random_texts(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Ids ids(count);
  for (auto& text : ids) {
    text.resize(1 + random() % 12);
    for (auto& id : text) id = static_cast<int64_t>(random() % kVocabulary);
  }
  return ids;
}

// What the graph computes for one text, by hand; the mask adds 14 (its name's length).
std::vector<double> by_hand(const std::vector<int64_t>& ids, Pooling pooling) {
  const Tensor table = test::wave({kVocabulary, kWidth}, 0.37);
  const Tensor weight = test::wave({kWidth, kWidth}, 0.71);
  const size_t n = ids.size();
  std::vector<std::vector<double>> x(n, std::vector<double>(kWidth));
  std::vector<double> mean(kWidth, 0.0);
  for (size_t t = 0; t < n; ++t) {
    for (size_t j = 0; j < kWidth; ++j) {
      x[t][j] =
          14.0 + static_cast<double>(table.data<float>()[static_cast<size_t>(ids[t]) * kWidth + j]);
      mean[j] += x[t][j] / static_cast<double>(n);
    }
  }
  std::vector<double> out(kWidth, 0.0);
  for (size_t t = 0; t < n; ++t) {
    const bool used = pooling == Pooling::mean || t == (pooling == Pooling::cls ? 0 : n - 1);
    for (size_t k = 0; used && k < kWidth; ++k) {
      double sum = 0;
      for (size_t j = 0; j < kWidth; ++j)
        sum += (x[t][j] + mean[j]) * static_cast<double>(weight.data<float>()[j * kWidth + k]);
      out[k] += std::tanh(sum) / (pooling == Pooling::mean ? static_cast<double>(n) : 1.0);
    }
  }
  return out;
}

TEST(Encoder, ComputesTheGraphAndPools) {
  const Ids ids{{3}, {1, 2, 3, 4}, {31, 0}};
  for (const Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::last_token}) {
    const auto rows = make(tiny_encoder(), pooling).encode(ids);
    ASSERT_TRUE(rows) << rows.error().message;
    ASSERT_EQ(rows->size(), 3 * kWidth);
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto expected = by_hand(ids[i], pooling);
      for (size_t j = 0; j < kWidth; ++j) EXPECT_NEAR((*rows)[i * kWidth + j], expected[j], 2e-5);
    }
  }
}

// Alone, in a batch, in another order, on other threads: the same bytes. The quantized graph has
// one scale for all it sees at once, so its texts must not share a run.
TEST(Encoder, ATextsBytesDependOnItAlone) {
  for (const bool quantized : {false, true}) {
    TinyOptions options;
    options.quantized = quantized;
    const Ids ids = random_texts(300, 7);
    const Encoder one = make(tiny_encoder(options));
    std::vector<float> alone;
    for (const auto& text : ids) {
      const auto row = one.encode({&text, 1});
      ASSERT_TRUE(row) << row.error().message;
      alone.insert(alone.end(), row->begin(), row->end());
    }
    std::vector<size_t> order(ids.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (const int threads : {1, 2, 3, 7}) {
      const Encoder encoder = make(tiny_encoder(options), Pooling::mean, threads);
      std::shuffle(order.begin(), order.end(), std::mt19937_64(static_cast<uint64_t>(threads)));
      Ids shuffled;
      for (const size_t i : order) shuffled.push_back(ids[i]);
      const auto rows = encoder.encode(shuffled);
      ASSERT_TRUE(rows) << rows.error().message;
      for (size_t i = 0; i < order.size(); ++i)
        ASSERT_EQ(std::memcmp(rows->data() + i * kWidth, alone.data() + order[i] * kWidth,
                              kWidth * sizeof(float)),
                  0)
            << (quantized ? "quantized, " : "") << threads << " threads, text " << order[i];
    }
  }
}

TEST(Encoder, FeedsWhatTheGraphAsksFor) {
  const Ids ids{{5, 6, 7}};
  const auto base = make(tiny_encoder()).encode(ids);
  TinyOptions options;
  options.ids = DType::i32;
  EXPECT_EQ(*make(tiny_encoder(options)).encode(ids), *base);
  // Types are all 0 and change nothing; positions count from 0 and do.
  options.inputs = {"input_ids", "token_type_ids", "attention_mask"};
  EXPECT_EQ(*make(tiny_encoder(options)).encode(ids), *base);
  options.inputs = {"input_ids", "position_ids", "attention_mask"};
  EXPECT_NE(*make(tiny_encoder(options)).encode(ids), *base);
  EXPECT_EQ(make(tiny_encoder(options), Pooling::cls).encode(Ids{{5}}).ok(), true);
}

TEST(Encoder, ErrorsNameTheText) {
  const Encoder encoder = make(tiny_encoder());
  for (const auto& [ids, message] : std::vector<std::pair<Ids, std::string>>{
           {{{1}, {}}, "text 2 is empty"},
           {{{1}, {2}, {kVocabulary}}, "text 3: token id 32 is outside"},
           {{{-1}}, "text 1: token id -1"},
           {{{int64_t{1} << 40}}, "text 1"}}) {
    const auto rows = encoder.encode(ids);
    ASSERT_FALSE(rows);
    EXPECT_EQ(rows.error().code, Code::invalid_input);
    EXPECT_NE(rows.error().message.find(message), std::string::npos) << rows.error().message;
  }
  TinyOptions options;
  options.scale = std::numeric_limits<float>::infinity();
  const auto rows = make(tiny_encoder(options)).encode(Ids{{1}, {2}});
  ASSERT_FALSE(rows);
  EXPECT_NE(rows.error().message.find("text 1: the model's output is not a finite number"),
            std::string::npos)
      << rows.error().message;
  EXPECT_TRUE(encoder.encode({})->empty());
}

TEST(Encoder, OutputsOfOtherExporters) {
  TinyOptions options;
  options.shape = {"batch", "sequence", "hidden"};  // the width is measured
  EXPECT_EQ(make(tiny_encoder(options)).width(), static_cast<size_t>(kWidth));
  options = {};
  options.output = "hidden";
  const Encoder guessed = make(tiny_encoder(options));
  ASSERT_EQ(guessed.warnings().size(), 1u);
  EXPECT_NE(guessed.warnings()[0].find("\"hidden\""), std::string::npos);
  options.output = "logits";
  EXPECT_EQ(error_of(tiny_encoder(options)).code, Code::unsupported);
  EXPECT_NE(error_of(tiny_encoder(options)).message.find("logits"), std::string::npos);
  options.output = "sentence_embedding";
  options.pooled = true;
  options.shape = {"batch", kWidth};
  const Encoder pooled = make(tiny_encoder(options), Pooling::cls);
  EXPECT_NE(pooled.warnings().at(0).find("pools itself"), std::string::npos);
  const Ids ids{{4, 5}, {6, 7}, {8}};
  const auto rows = pooled.encode(ids);
  const auto mean = make(tiny_encoder()).encode(ids);
  ASSERT_TRUE(rows && mean);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR((*rows)[i * kWidth], (*mean)[i * kWidth] * static_cast<float>(ids[i].size()), 1e-6);
}

TEST(Encoder, AnExportWithACacheGetsAnEmptyOne) {
  TinyOptions options;
  options.cached = true;
  const Ids ids = random_texts(40, 3);
  EXPECT_EQ(*make(tiny_encoder(options)).encode(ids), *make(tiny_encoder()).encode(ids));
  Model model = tiny_encoder(options);
  for (ValueInfo& input : model.graph.inputs) {
    if (input.name.starts_with("past")) (*input.shape)[1] = "heads";
  }
  EXPECT_EQ(error_of(model).code, Code::unsupported);
  EXPECT_NE(error_of(model).message.find("past_key_values.0.key"), std::string::npos);
}

TEST(Encoder, InputsWeCannotFeedAreNamed) {
  for (const char* name : {"past_key_values.0.key", "pixel_values"}) {
    TinyOptions options;
    options.inputs = {"input_ids", name};
    const Error error = error_of(tiny_encoder(options));
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
  }
  TinyOptions options;
  options.ids = DType::f32;
  EXPECT_EQ(error_of(tiny_encoder(options)).code, Code::unsupported);
}

TEST(Signature, SeesWhatMixesRows) {
  EXPECT_TRUE(read_signature(tiny_encoder())->rows_independent);
  EXPECT_EQ(read_signature(tiny_encoder())->vocabulary, kVocabulary);
  TinyOptions options;
  options.quantized = true;
  EXPECT_FALSE(read_signature(tiny_encoder(options))->rows_independent);
  for (const auto& [axes, independent] : std::vector<std::pair<std::vector<int64_t>, bool>>{
           {{1}, true}, {{-1}, true}, {{0}, false}, {{1, 0}, false}, {{}, false}}) {
    Model model = tiny_encoder();
    for (Node& node : model.graph.nodes) {
      if (node.op_type == "ReduceMean") node.attributes["axes"] = axes;
    }
    EXPECT_EQ(read_signature(model)->rows_independent, independent) << testing::PrintToString(axes);
  }
}

}  // namespace
}  // namespace octavo
