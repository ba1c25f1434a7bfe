// What the oracle (tests/oracle/test_quantize.py) cannot see: that weights are lazy and computed
// once, that the thread count changes nothing, and the order of nodes.

#include "passes/quantize_dynamic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "passes/gemm_to_matmul.h"
#include "passes/tidy.h"

namespace octavo {
namespace {

float weight_at(size_t i) { return std::sin(static_cast<float>(i) * 0.37F) * 3.0F; }

// A weight that counts how often its bytes are made.
Initializer counting(const std::string& name, Shape shape, std::shared_ptr<int> made) {
  const int64_t count = *element_count(shape);
  return {name, DType::f32, shape, [=]() -> Result<Tensor> {
            ++*made;
            OCTAVO_TRY(Tensor t, Tensor::make(DType::f32, shape));
            for (size_t i = 0; i < static_cast<size_t>(count); ++i)
              t.mutable_data<float>()[i] = weight_at(i);
            return t;
          }};
}

Node node(const std::string& op, std::vector<std::string> in, std::vector<std::string> out) {
  return {"n_" + out[0], op, "", std::move(in), std::move(out), {}, {}};
}

Model model_of(std::vector<Node> nodes, std::vector<Initializer> weights) {
  Model model;
  model.opset_imports[""] = 17;
  model.graph.inputs = {{"x", DType::f32, std::vector<Dim>{int64_t{2}, int64_t{40}}, {}}};
  model.graph.outputs = {{nodes.back().outputs[0], DType::f32, {}, {}}};
  model.graph.nodes = std::move(nodes);
  model.graph.initializers = std::move(weights);
  return model;
}

Result<QuantizedModel> quantize(Model model, int threads = 2, WeightForm form = {}) {
  QuantizeDynamicOptions options;
  options.form = form;
  options.pool = std::make_shared<ThreadPool>(threads);
  return quantize_dynamic(std::move(model), options);
}

std::string bytes_of(const QuantizedModel& m, const std::string& name) {
  const auto* i = m.model.graph.find_initializer(name);
  if (i == nullptr) return "missing";
  const auto tensor = i->tensor();
  if (!tensor) return tensor.error().message;
  return {reinterpret_cast<const char*>(tensor->bytes().data()), tensor->bytes().size()};
}

TEST(QuantizeDynamic, ComputesNothingBeforeItIsAskedAndThenOnce) {
  const auto made_v = std::make_shared<int>(0);
  const auto made_w = std::make_shared<int>(0);
  auto result =
      quantize(model_of({node("MatMul", {"x", "v"}, {"h"}), node("MatMul", {"h", "w"}, {"y"})},
                        {counting("v", {40, 40}, made_v), counting("w", {40, 7}, made_w)}),
               1, {.per_channel = true});
  ASSERT_TRUE(result);
  EXPECT_EQ(*made_v + *made_w, 0);
  // As the writer asks: in the order of the initializers.
  for (const auto& i : result->model.graph.initializers) ASSERT_TRUE(i.tensor());
  EXPECT_EQ(*made_v, 1);
  EXPECT_EQ(*made_w, 1);
  ASSERT_TRUE(check(result->model));
}

TEST(QuantizeDynamic, ThreadsChangeNothing) {
  // Larger than one piece of work: 1 MB of floats.
  const auto one = [](int threads, const std::string& name, WeightForm form) {
    const auto made = std::make_shared<int>(0);
    const auto result =
        quantize(model_of({node("MatMul", {"x", "w"}, {"y"})}, {counting("w", {40, 30011}, made)}),
                 threads, form);
    EXPECT_TRUE(result);
    return bytes_of(*result, name);
  };
  for (const WeightForm form : {WeightForm{.per_channel = true}, WeightForm{.per_channel = false},
                                WeightForm{.is_signed = false, .per_channel = true}}) {
    for (const char* name : {"w_quantized", "w_scale", "w_zero_point"}) {
      const std::string expected = one(1, name, form);
      for (const int threads : {2, 3, 7}) EXPECT_EQ(one(threads, name, form), expected) << name;
    }
  }
}

TEST(QuantizeDynamic, ScalesAndValuesByTheFormula) {
  const auto made = std::make_shared<int>(0);
  const auto result =
      quantize(model_of({node("MatMul", {"x", "w"}, {"y"})}, {counting("w", {40, 3}, made)}), 1,
               {.per_channel = true});
  ASSERT_TRUE(result);
  const auto scale = result->model.graph.find_initializer("w_scale")->tensor();
  const auto q = result->model.graph.find_initializer("w_quantized")->tensor();
  ASSERT_TRUE(scale && q);
  for (size_t c = 0; c < 3; ++c) {
    float absmax = 0;
    for (size_t k = 0; k < 40; ++k) absmax = std::max(absmax, std::abs(weight_at(k * 3 + c)));
    const auto s = static_cast<float>(2.0 * static_cast<double>(absmax) / 254.0);
    EXPECT_EQ(scale->data<float>()[c], s);
    for (size_t k = 0; k < 40; ++k)
      EXPECT_EQ(static_cast<float>(q->data<int8_t>()[k * 3 + c]),
                std::nearbyint(weight_at(k * 3 + c) / s));
  }
}

// Against every ratio tried by hand in float64, on channels with an outlier, without one, and
// empty.
TEST(QuantizeDynamic, ClipTakesTheScaleWithTheSmallestSquaredError) {
  constexpr int64_t kRows = 3000;  // below a thousand no normal channel is worth it
  constexpr int64_t kColumns = 21;
  std::vector<float> w(kRows * kColumns);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < w.size(); ++i) w[i] = i % kColumns == 20 ? 0 : normal(random);
  const auto made = [&] {
    auto tensor = Tensor::make(DType::f32, {kRows, kColumns});
    std::copy(w.begin(), w.end(), tensor->mutable_data<float>());
    return quantize(model_of({node("MatMul", {"x", "w"}, {"y"})}, {Initializer("w", *tensor)}), 2,
                    {.per_channel = true, .clip = true});
  };
  const auto done = made();
  ASSERT_TRUE(done) << done.error().message;
  const std::string scales = bytes_of(*done, "w_scale");
  ASSERT_EQ(scales.size(), kColumns * sizeof(float));
  size_t clipped = 0;
  for (size_t c = 0; c < kColumns; ++c) {
    float largest = 0;
    for (size_t r = 0; r < kRows; ++r) largest = std::max(largest, std::abs(w[r * kColumns + c]));
    const float whole = largest == 0 ? 1 : static_cast<float>(2 * double{largest} / 254);
    double least = 1e300;
    float best = 0;
    for (int percent = 100; percent >= 80; percent -= 2) {
      const auto scale = static_cast<float>(double{whole} * percent / 100);
      double error = 0;
      for (size_t r = 0; r < kRows; ++r) {
        const double value = w[r * kColumns + c];
        const float q = std::clamp(std::nearbyint(w[r * kColumns + c] / scale), -127.0F, 127.0F);
        error += (value - double{q} * scale) * (value - double{q} * scale);
      }
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    float got = 0;
    std::memcpy(&got, scales.data() + c * sizeof(float), sizeof got);
    EXPECT_EQ(got, best) << "channel " << c;
    clipped += got < whole ? 1 : 0;
  }
  EXPECT_GT(clipped, 3U) << "no channel of this weight is worth a smaller range: a weak test";
}

TEST(QuantizeDynamic, TheOriginalModelIsNotTouched) {
  const auto made = std::make_shared<int>(0);
  const Model before =
      model_of({node("MatMul", {"x", "w"}, {"y"})}, {counting("w", {40, 3}, made)});
  const Model copy = before;
  ASSERT_TRUE(quantize(copy));
  EXPECT_EQ(before.graph.nodes[0].op_type, "MatMul");
  EXPECT_EQ(before.graph.initializers.size(), 1U);
}

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> out;
  for (const auto& n : graph.nodes) out.push_back(n.name);
  return out;
}

TEST(Tidy, SortsBreadthFirstAndTakesGivenValuesByName) {
  // c waits for nothing; b reads "a_in" and so comes before a, which reads "b_in".
  Model model = model_of(
      {node("Neg", {"b_in"}, {"a"}), node("Neg", {"a_in"}, {"b"}), node("Constant", {}, {"c"}),
       node("Add", {"a", "b"}, {"d"}), node("Neg", {"b"}, {"e"}),
       node("Concat", {"c", "d", "e"}, {"y"})},
      {Initializer("a_in", Tensor::scalar(1.0F)), Initializer("b_in", Tensor::scalar(1.0F))});
  ASSERT_TRUE(sort_breadth_first(model.graph));
  EXPECT_EQ(names(model.graph),
            (std::vector<std::string>{"n_c", "n_b", "n_a", "n_e", "n_d", "n_y"}));
}

TEST(Tidy, ANodeNeverComesBeforeWhatItsSubgraphReads) {
  Node branch = node("If", {"cond"}, {"z"});
  auto inner = std::make_shared<Graph>();
  inner->nodes = {node("Neg", {"h"}, {"t"})};
  inner->outputs = {{"t", DType::f32, {}, {}}};
  branch.attributes["then_branch"] = inner;
  branch.attributes["else_branch"] = inner;
  // Breadth first alone would start with the If, which has no input but "cond".
  Model model =
      model_of({node("Neg", {"x"}, {"h"}), branch}, {Initializer("cond", Tensor::scalar(true))});
  ASSERT_TRUE(sort_breadth_first(model.graph));
  EXPECT_EQ(names(model.graph), (std::vector<std::string>{"n_h", "n_z"}));
}

TEST(Tidy, DropsOnlyWhatNobodyReads) {
  auto inner = std::make_shared<Graph>();
  inner->nodes = {node("Add", {"h", "outer"}, {"t"})};
  inner->outputs = {{"t", DType::f32, {}, {}}};
  Node branch = node("If", {"cond"}, {"z"});
  branch.attributes["then_branch"] = inner;
  branch.attributes["else_branch"] = inner;
  Model model = model_of(
      {node("Neg", {"x"}, {"h"}), branch},
      {Initializer("cond", Tensor::scalar(true)), Initializer("outer", Tensor::scalar(1.0F)),
       Initializer("unused", Tensor::scalar(1.0F)), Initializer("returned", Tensor::scalar(1.0F))});
  model.graph.inputs.push_back({"unused", DType::f32, {}, {}});
  model.graph.outputs.push_back({"returned", DType::f32, {}, {}});
  drop_unused_initializers(model.graph);
  EXPECT_EQ(model.graph.initializers.size(), 3U);
  EXPECT_EQ(model.graph.find_initializer("unused"), nullptr);
  EXPECT_EQ(model.graph.inputs.size(), 1U);
}

TEST(GemmToMatmul, ATransposedNameThatIsTakenGetsANumber) {
  const auto made = std::make_shared<int>(0);
  Node gemm = node("Gemm", {"x", "w", "c"}, {"h"});
  gemm.attributes["transB"] = int64_t{1};
  Model model =
      model_of({gemm, node("Neg", {"w_Transposed_scale"}, {"y"})},
               {counting("w", {3, 40}, made), Initializer("c", Tensor::of<float>({3}, {1, 2, 3})),
                Initializer("w_Transposed_scale", Tensor::scalar(1.0F))});
  EXPECT_TRUE(gemm_to_matmul(model.graph).empty());
  ASSERT_TRUE(check(model));
  EXPECT_EQ(model.graph.nodes[0].inputs, (std::vector<std::string>{"x", "w_Transposed_1"}));
  const auto t = model.graph.find_initializer("w_Transposed_1")->tensor();
  ASSERT_TRUE(t);
  for (size_t k = 0; k < 40; ++k) {
    for (size_t n = 0; n < 3; ++n) EXPECT_EQ(t->data<float>()[k * 3 + n], weight_at(n * 40 + k));
  }
}

}  // namespace
}  // namespace octavo
