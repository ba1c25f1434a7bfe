// What the engine says it will take, against what it takes.

#include "embed/encoder.h"
#include "embed/fused_model.h"
#include "embed/raised_folder.h"

namespace octavo {
namespace {

class Memory : public RaisedFolder {
 protected:
  using Ids = std::vector<std::vector<int64_t>>;

  static Encoder encoder(const std::filesystem::path& folder, size_t max_batch_tokens,
                         Pooling pooling = Pooling::last_token) {
    EncoderOptions options;
    options.pool = std::make_shared<ThreadPool>(2);
    options.exact_onnx = false;
    options.max_batch_tokens = max_batch_tokens;
    options.positions = 8192;
    options.cache = false;
    auto made = Encoder::open(folder / "model.onnx", pooling, options);
    if (!made || made->fused() == nullptr) throw std::runtime_error("not on the engine");
    return *std::move(made);
  }
  static Ids ids(std::initializer_list<std::pair<size_t, size_t>> counts_and_lengths) {
    Ids all;
    for (const auto& [count, length] : counts_and_lengths)
      for (size_t i = 0; i < count; ++i) all.emplace_back(length, static_cast<int64_t>(i % 7));
    return all;
  }
};

TEST_F(Memory, ActivationsStayWithinTheBudget) {
  for (const char* model : {"int8", "float"}) {
    for (const size_t budget : {128U, 1000U, 4096U}) {
      for (const Ids& texts :
           {ids({{5000, 1}}), ids({{400, 16}}), ids({{300, 17}, {100, 65}}),
            ids({{90, 63}, {1, 900}}), ids({{3, budget}}), ids({{40, 64}, {700, 3}, {40, 100}})}) {
        const Encoder one = encoder(folder_ / model, budget);
        ASSERT_TRUE(one.encode(texts));
        const auto& engine = *one.fused()->encoder;
        size_t longest = 0;
        for (const auto& text : texts) longest = std::max(longest, text.size());
        const size_t allowed = engine.workspace_bytes(std::max(budget, longest));
        EXPECT_LE(engine.workspace_held(), allowed)
            << model << ", " << budget << " tokens, " << texts.size() << " texts";
      }
    }
  }
}

// What is said is not far above what is taken, either, and a text of 8,192 tokens takes what a
// batch of so many does, whatever the budget.
TEST_F(Memory, TheLongestTextTakesWhatIsSaid) {
  for (const char* model : {"int8", "float"}) {
    const Encoder one = encoder(folder_ / model, 512);
    const auto& engine = *one.fused()->encoder;
    ASSERT_EQ(engine.spec().positions, 8192U);
    ASSERT_TRUE(one.encode(ids({{1, 8192}})));
    EXPECT_LE(engine.workspace_held(), engine.workspace_bytes(8192));
    EXPECT_GE(engine.workspace_held() * 10, engine.workspace_bytes(8192) * 2);
    ASSERT_TRUE(one.encode(ids({{200, 40}, {1, 8192}, {50, 1}})));
    EXPECT_LE(engine.workspace_held(), engine.workspace_bytes(8192));
    EXPECT_FALSE(one.encode(ids({{1, 8193}})));
  }
}

TEST_F(Memory, PlanningSaysWhatPackingTakes) {
  for (const char* model : {"int8", "float"}) {
    const auto onnx = read_onnx(folder_ / model / "model.onnx");
    ASSERT_TRUE(onnx);
    const auto pool = std::make_shared<ThreadPool>(1);
    const auto plan = plan_fused(*onnx, {.positions = 8192}, pool);
    const auto made = make_fused(*onnx, {.positions = 8192}, pool);
    ASSERT_TRUE(plan && made);
    EXPECT_TRUE(plan->spec == made->encoder->spec());
    EXPECT_EQ(plan->weight_bytes, made->encoder->weight_bytes());
    EXPECT_EQ(plan->table_bytes, sizeof(float) * 101 * 20);  // vocabulary and width of RaiseGraph
  }
}

}  // namespace
}  // namespace octavo
