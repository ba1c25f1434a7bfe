#include "toolkit/compensate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "formats/onnx.h"
#include "octavo/import.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

class Compensate : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    ASSERT_TRUE(import_model(golden("tiny") / "llama", folder_));
    how_.form.per_channel = true;
    how_.activations = Activations::per_token;
    how_.pool = pool_;
    for (int64_t t = 0; t < 7; ++t) {
      texts_.emplace_back();
      for (int64_t i = 0; i < 3 + 5 * t; ++i) texts_.back().push_back(1 + (i * i + 7 * t) % 50);
    }
  }

  Result<Model> rounded(size_t memory, int threads) const {
    OCTAVO_TRY(Model model, read_onnx(folder_ / "model.onnx"));
    OCTAVO_TRY(const size_t count,
               compensate(model, how_, texts_, {memory}, std::make_shared<ThreadPool>(threads)));
    EXPECT_EQ(count, 14U);
    return model;
  }

  std::shared_ptr<ThreadPool> pool_ = std::make_shared<ThreadPool>(2);
  QuantizeDynamicOptions how_;
  std::vector<std::vector<int64_t>> texts_;
};

// One part with all second moments at once, or as many as there are cuts between the layers.
TEST_F(Compensate, TheSameWeightsInAnyNumberOfPartsAndThreads) {
  const auto whole = rounded(size_t{512} << 20, 2);
  ASSERT_TRUE(whole) << whole.error().message;
  const auto original = read_onnx(folder_ / "model.onnx");
  ASSERT_TRUE(original);
  const std::pair<size_t, int> others[] = {{1, 2}, {1, 1}, {40000, 3}};
  for (const auto& [memory, threads] : others) {
    const auto parts = rounded(memory, threads);
    ASSERT_TRUE(parts) << parts.error().message;
    size_t changed = 0;
    for (size_t i = 0; i < whole->graph.initializers.size(); ++i) {
      const auto a = whole->graph.initializers[i].tensor();
      const auto b = parts->graph.initializers[i].tensor();
      const auto before = original->graph.initializers[i].tensor();
      ASSERT_TRUE(a);
      ASSERT_TRUE(b);
      ASSERT_TRUE(before);
      EXPECT_TRUE(std::ranges::equal(a->bytes(), b->bytes()))
          << whole->graph.initializers[i].name();
      changed += std::ranges::equal(a->bytes(), before->bytes()) ? 0 : 1;
    }
    EXPECT_EQ(changed, 14U);
  }
}

// The noise of 8-bit rows is not that of 16 bits, which all readers of an input must have. It is
// small here: a few weights of all fall to the other side.
TEST_F(Compensate, ReckonsWithTheBitsOfTheActivations) {
  const auto weights = [&] {
    std::vector<float> all;
    const auto model = rounded(size_t{512} << 20, 2);
    EXPECT_TRUE(model);
    for (const Initializer& i : model->graph.initializers) {
      const auto tensor = i.tensor();
      if (!tensor || tensor->dtype() != DType::f32) continue;
      const auto values = tensor->values<float>();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const auto has = [](const Node& node, const char* name) {
    return node.name.find(name) != std::string::npos;
  };
  const std::vector<float> narrow = weights();
  how_.protect = [&](const Node& node) { return has(node, "q_proj") || has(node, "up_proj"); };
  EXPECT_TRUE(weights() == narrow);
  how_.protect = [](const Node&) { return true; };
  const std::vector<float> wide = weights();
  EXPECT_FALSE(wide == narrow);
  how_.protect = {};
  how_.activations = Activations::per_token_16;
  EXPECT_TRUE(weights() == wide);
}

TEST_F(Compensate, AnActivationThatIsNoNumberIsNamed) {
  auto model = read_onnx(folder_ / "model.onnx");
  ASSERT_TRUE(model);
  for (Initializer& i : model->graph.initializers) {
    if (i.name() != "model.layers.1.input_layernorm.weight") continue;
    const auto tensor = i.tensor();
    ASSERT_TRUE(tensor);
    std::vector<float> gain(tensor->values<float>().begin(), tensor->values<float>().end());
    gain[3] = std::numeric_limits<float>::infinity();
    i = Initializer(i.name(), Tensor::of<float>(i.shape(), gain));
  }
  const auto failed = compensate(*model, how_, texts_, {}, pool_);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::invalid_input);
  EXPECT_NE(failed.error().message.find("layers.1/input_layernorm"), std::string::npos)
      << failed.error().message;
}

}  // namespace
}  // namespace octavo
