// What the planner does with constants: folds small ones, leaves large ones alone, lets go of bytes
// that ops have packed, computes lazy ones once.

#include "runtime/planner.h"

#include "kernels/select.h"
#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using test::value;

class PlannerTest : public testing::Test {
 protected:
  Plan plan(Model& model) {
    auto made = make_plan(model, {.pool = &pool_, .kernels = kernels::best()});
    if (!made) ADD_FAILURE() << made.error().message;
    return *std::move(made);
  }
  ThreadPool pool_{1};
};

Tensor ints(std::vector<int64_t> v) {
  return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v);
}

TEST_F(PlannerTest, FoldsWhatIsConstant) {
  Model m = test::model(
      {node("Shape", {"w"}, {"s"}), node("Gather", {"s", "last"}, {"n"}),
       node("Constant", {}, {"two"}, {{"value_int", int64_t{2}}}), node("Mul", {"n", "two"}, {"m"}),
       node("Transpose", {"w"}, {"t"}), node("Add", {"x", "t"}, {"y"})},
      {value("x", DType::f32)}, {"y", "m"},
      {Initializer("w", Tensor::of<float>({1, 3}, {1, 2, 3})), Initializer("last", ints({1}))});
  const Plan p = plan(m);
  ASSERT_EQ(p.steps.size(), 1U);
  EXPECT_EQ(test::values<int64_t>(p.constants[static_cast<size_t>(p.ids.at("m"))]),
            (std::vector<int64_t>{6}));
}

TEST_F(PlannerTest, LeavesLargeResultsToTheRun) {
  Model m = test::model(
      {node("ConstantOfShape", {"shape"}, {"zeros"}), node("Add", {"x", "zeros"}, {"y"})},
      {value("x", DType::f32)}, {"y"}, {Initializer("shape", ints({1 << 20}))});
  EXPECT_EQ(plan(m).steps.size(), 2U);
}

TEST_F(PlannerTest, LetsGoOfPackedWeights) {
  const int64_t k = 160;
  const int64_t n = 130;
  const Tensor w = *Tensor::make(DType::f32, {k, n});
  int made = 0;
  for (const bool lazy : {false, true}) {
    Initializer weight = lazy ? Initializer("w", DType::f32, {k, n},
                                            [&]() -> Result<Tensor> {
                                              ++made;
                                              return w;
                                            })
                              : Initializer("w", w);
    Model m = test::model({node("MatMul", {"x", "w"}, {"y"})}, {value("x", DType::f32)}, {"y"},
                          {std::move(weight)});
    const Plan p = plan(m);
    EXPECT_FALSE(p.constants[static_cast<size_t>(p.ids.at("w"))].defined());
    // The model no longer owns the bytes either; a lazy one can be made again.
    EXPECT_EQ(m.graph.initializers[0].tensor().ok(), lazy);
  }
  EXPECT_EQ(made, 2);  // once by the plan, once by the line above
}

TEST_F(PlannerTest, KeepsWhatSomebodyElseReads) {
  const Tensor w = *Tensor::make(DType::f32, {160, 160});
  Model m = test::model({node("MatMul", {"x", "w"}, {"a"}), node("Add", {"a", "w"}, {"y"})},
                        {value("x", DType::f32)}, {"y"}, {Initializer("w", w)});
  const Plan p = plan(m);
  EXPECT_TRUE(p.constants[static_cast<size_t>(p.ids.at("w"))].defined());
}

TEST(Schedule, RunsOnlyWhatIsAskedFor) {
  Model m = test::model({node("Neg", {"x"}, {"a"}), node("Abs", {"a"}, {"b"}),
                         node("Neg", {"x"}, {"dead"}), node("Add", {"b", "a"}, {"y"})},
                        {value("x", DType::f32)}, {"y"});
  ThreadPool pool(1);
  const auto plan = make_plan(m, {.pool = &pool, .kernels = kernels::best()});
  ASSERT_TRUE(plan) << plan.error().message;
  const auto id = [&](const char* name) { return plan->ids.at(name); };
  const Schedule all = make_schedule(*plan, plan->outputs, {});
  ASSERT_EQ(all.steps, (std::vector<size_t>{0, 1, 3}));
  EXPECT_EQ(all.dying[0], (std::vector<int>{id("x")}));  // its other reader does not run
  EXPECT_EQ(all.dying[1], (std::vector<int>{}));
  EXPECT_EQ(all.dying[2], (std::vector<int>{id("a"), id("b")}));
  const Schedule early = make_schedule(*plan, {id("b")}, {});
  EXPECT_EQ(early.steps, (std::vector<size_t>{0, 1}));
  const Schedule watched = make_schedule(*plan, {id("b")}, {id("dead")});
  EXPECT_EQ(watched.steps, (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(watched.kept[static_cast<size_t>(id("dead"))], 0);
}

}  // namespace
}  // namespace octavo
