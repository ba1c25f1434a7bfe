// The ragged path: its numbers against the plain executor, and its promise that a text's bits
// depend on nothing but the text.

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "embed/encoder.h"
#include "embed/ragged.h"
#include "formats/json.h"
#include "formats/onnx.h"
#include "kernels/select.h"
#include "octavo/import.h"
#include "octavo/quantize.h"
#include "temp_folder.h"
#include "tensor/compare.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::vector<int64_t>>;

Ids random_texts(std::mt19937& random, size_t count, size_t longest, int64_t vocabulary) {
  Ids texts(count);
  for (auto& text : texts) {
    text.resize(1 + random() % longest);
    for (auto& id : text) id = static_cast<int64_t>(random() % static_cast<uint64_t>(vocabulary));
  }
  return texts;
}

class Engine : public TempFolder {
 protected:
  // Tiny models and their variants, as `octavo import` takes them.
  static std::vector<std::string> labels() {
    std::vector<std::string> all;
    for (const auto& file : files_in(golden("import"), ".safetensors")) {
      const std::string label = file.stem().string();
      if (label != "minilm" && label != "smollm2") all.push_back(label);
    }
    return all;
  }
  fs::path import(const std::string& label) const {
    const std::string name = label.substr(0, label.find('@'));
    const auto metadata = safetensors_metadata(golden("import/" + label + ".safetensors"));
    const auto about = parse_json(metadata->at("about"), label);
    const fs::path source = folder_ / (label + ".snapshot");
    fs::copy(golden("tiny/" + name), source, fs::copy_options::recursive);
    auto config = *read_json(source / "config.json");
    config.update((*about)["config"]);
    std::ofstream(source / "config.json") << config.dump();
    return import(source, label);
  }
  fs::path import(const fs::path& source, const std::string& label) const {
    const auto report = import_model(source, folder_ / label);
    EXPECT_TRUE(report) << report.error().message;
    return folder_ / label / "model.onnx";
  }
  // exclude: nodes that stay in float, so that kinds of weights mix inside a layer.
  static fs::path quantize(const fs::path& onnx, const std::string& exclude = "") {
    QuantizeOptions options;
    if (!exclude.empty()) options.exclude = {exclude};
    options.per_channel = true;
    options.external_data = true;
    const fs::path to = onnx.parent_path() / (exclude.empty() ? "model.int8.onnx" : "mixed.onnx");
    const auto report = quantize_model(onnx, to, options);
    EXPECT_TRUE(report) << report.error().message;
    return to;
  }
  static Result<Encoder> open(const fs::path& onnx, Pooling pooling, bool exact, int threads = 2) {
    EncoderOptions options;
    options.pool = std::make_shared<ThreadPool>(threads);
    options.exact_onnx = exact;
    options.cache = false;
    return Encoder::open(onnx, pooling, options);
  }
};

TEST_F(Engine, FloatModelsGiveTheNumbersOfThePlainExecutor) {
  std::mt19937 random(1);
  size_t seen = 0;
  for (const std::string& label : labels()) {
    SCOPED_TRACE(label);
    const fs::path onnx = import(label);
    for (const Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::last_token}) {
      const auto plain = open(onnx, pooling, true);
      const auto fast = open(onnx, pooling, false);
      ASSERT_TRUE(plain && fast);
      ASSERT_NE(fast->fused(), nullptr) << fast->why_plain();
      const auto limit = fast->fused()->encoder->spec().positions;
      const auto vocabulary = static_cast<int64_t>(fast->fused()->encoder->spec().vocabulary);
      Ids texts =
          random_texts(random, 12, limit == 0 ? 150 : std::min<size_t>(limit, 150), vocabulary);
      const auto wanted = plain->encode(texts);
      const auto got = fast->encode(texts);
      ASSERT_TRUE(wanted) << wanted.error().message;
      ASSERT_TRUE(got) << got.error().message;
      EXPECT_LT(relative_difference(*got, *wanted), 1e-5);
    }
    ++seen;
  }
  EXPECT_GE(seen, 12U);
}

// A thousand draws of (texts, order, batch, threads, instruction set): always the same bytes. The
// reference are texts that ran alone.
void draw(const Encoder& encoder, std::mt19937& random, size_t draws, size_t longest,
          size_t rarity = 16) {
  ASSERT_NE(encoder.fused(), nullptr) << encoder.why_plain();
  const fused::FusedEncoder& model = *encoder.fused()->encoder;
  const size_t width = model.spec().hidden;
  const Ids texts =
      random_texts(random, 24, longest, static_cast<int64_t>(model.spec().vocabulary));
  ThreadPool alone(1);
  std::vector<std::vector<float>> wanted;
  for (const auto& text : texts) {
    wanted.emplace_back(width);
    const std::array<size_t, 2> offsets{0, text.size()};
    fused::RunOptions run;
    run.rows = fused::Rows::last;
    ASSERT_TRUE(model.run(text, offsets, alone, run, wanted.back().data()));
  }
  const auto tables = kernels::runnable();
  std::vector<std::unique_ptr<ThreadPool>> pools;
  for (const int threads : {1, 2, 3, 7}) pools.push_back(std::make_unique<ThreadPool>(threads));
  for (size_t d = 0; d < draws; ++d) {
    std::vector<size_t> order;
    const size_t count = 1 + random() % 6;
    for (size_t i = 0; i < count; ++i) order.push_back(random() % texts.size());
    std::vector<int64_t> flat;
    std::vector<size_t> offsets{0};
    for (const size_t t : order) {
      flat.insert(flat.end(), texts[t].begin(), texts[t].end());
      offsets.push_back(flat.size());
    }
    fused::RunOptions run;
    const bool all = random() % 2 == 0;
    run.rows = all ? fused::Rows::all : fused::Rows::last;
    // The specification is slow: one draw in `rarity` of it is enough to see that it is the same.
    const size_t pick = random() % rarity;
    run.kernels = pick == 0 ? tables[0] : tables[1 + pick % (tables.size() - 1)];
    std::vector<float> out((all ? flat.size() : count) * width);
    ASSERT_TRUE(model.run(flat, offsets, *pools[random() % pools.size()], run, out.data()));
    for (size_t i = 0; i < count; ++i) {
      const float* row = out.data() + (all ? offsets[i + 1] - 1 : i) * width;
      ASSERT_EQ(std::memcmp(row, wanted[order[i]].data(), width * sizeof(float)), 0)
          << "draw " << d << " with " << run.kernels->name << ", text " << order[i] << " of "
          << texts[order[i]].size() << " tokens, place " << i << " of " << count;
    }
  }
}

TEST_F(Engine, AThousandDrawsGiveTheSameBytes) {
  if (kernels::runnable().size() < 2) GTEST_SKIP() << "this CPU runs the specification only";
  std::mt19937 random(2);
  for (const char* label : {"qwen3", "bert", "llama"}) {
    SCOPED_TRACE(label);
    const fs::path onnx = import(label);
    const char* kept = label == std::string("bert") ? "output/dense" : "down_proj|k_proj";
    for (const fs::path& file : {onnx, quantize(onnx), quantize(onnx, kept)}) {
      const auto encoder = open(file, Pooling::last_token, false);
      ASSERT_TRUE(encoder) << encoder.error().message;
      draw(*encoder, random, 1000, label == std::string("bert") ? 40 : 140);
    }
  }
}

TEST_F(Engine, DrawsOnRealModels) {
  const char* models = std::getenv("OCTAVO_MODELS");
  if (models == nullptr) GTEST_SKIP() << "OCTAVO_MODELS names no folder of real models";
  if (kernels::runnable().size() < 2) GTEST_SKIP() << "this CPU runs the specification only";
  std::mt19937 random(3);
  const std::vector<std::pair<std::string, fs::path>> cases = {
      {"minilm", fs::path(models) / "minilm"},
      {"smollm2", fs::path(models) / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"}};
  for (const auto& [label, source] : cases) {
    SCOPED_TRACE(label);
    const auto encoder = open(quantize(import(source, label)), Pooling::last_token, false);
    ASSERT_TRUE(encoder) << encoder.error().message;
    draw(*encoder, random, label == "minilm" ? 1000 : 300, 24, label == "minilm" ? 64 : 100);
  }
}

// Finer scales than the file asks for: on average no farther from the float model than the plain
// executor's run of the same file.
TEST_F(Engine, RowScalesAreNoLessAccurate) {
  const char* models = std::getenv("OCTAVO_MODELS");
  if (models == nullptr) GTEST_SKIP() << "OCTAVO_MODELS names no folder of real models";
  std::mt19937 random(4);
  const fs::path onnx = import(fs::path(models) / "minilm", "minilm");
  const fs::path int8 = quantize(onnx);
  const auto reference = open(onnx, Pooling::mean, true);
  const auto plain = open(int8, Pooling::mean, true);
  const auto fast = open(int8, Pooling::mean, false);
  ASSERT_TRUE(reference && plain && fast);
  ASSERT_NE(fast->fused(), nullptr) << fast->why_plain();
  const Ids texts = random_texts(random, 40, 60, 30000);
  const auto wanted = reference->encode(texts);
  const auto a = plain->encode(texts);
  const auto b = fast->encode(texts);
  ASSERT_TRUE(wanted && a && b);
  double plain_cosine = 0;
  double fast_cosine = 0;
  const size_t width = reference->width();
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = [&](const std::vector<float>& all) {
      return std::span(all).subspan(i * width, width);
    };
    plain_cosine += cosine(row(*a), row(*wanted));
    fast_cosine += cosine(row(*b), row(*wanted));
  }
  EXPECT_GE(fast_cosine, plain_cosine);
}

TEST(Batches, FillTheBudgetInOrder) {
  const auto text = [](size_t tokens) { return std::vector<int64_t>(tokens, 1); };
  const Ids ids{text(30), text(1), text(60), text(3), text(17)};
  const auto batches = batches_by_tokens(ids, 48);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0].end, 2U);      // 30 + 16: a short text counts as a quarter of a block
  EXPECT_EQ(batches[1].tokens, 60U);  // longer than the budget: alone
  EXPECT_EQ(batches[2].begin, 3U);
  EXPECT_EQ(batches[2].tokens, 33U);
}

}  // namespace
}  // namespace octavo
