// What a file could ask of an op to make it crash, hang or eat the machine: an error each, also
// when every input is a constant and the node is folded when the session is made.

#include <cmath>
#include <limits>

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using Ints = std::vector<int64_t>;

constexpr int64_t kHuge = int64_t{1} << 40;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

Tensor ints(Ints v) { return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v); }
Tensor floats(Shape shape) {
  const auto n = *element_count(shape);
  return Tensor::of<float>(std::move(shape), std::vector<float>(static_cast<size_t>(n), 1.0F));
}
Tensor int_scalar(int64_t v) { return Tensor::scalar<int64_t>(v); }

struct Attack {
  const char* name;
  Node node;
  std::vector<Tensor> inputs;
  int64_t opset = 17;
};

std::vector<Attack> attacks() {
  const Tensor x = floats({2, 3});
  const Tensor none;
  return {
      {"sizes", node("Expand", {}, {}), {x, ints({kHuge, 2, 3})}},
      {"overflow", node("Expand", {}, {}), {x, ints({kHuge, kHuge, 3})}},
      {"negative", node("Expand", {}, {}), {x, ints({-5, 2, 3})}},
      {"sizes", node("ConstantOfShape", {}, {}), {ints({kHuge})}},
      {"overflow", node("ConstantOfShape", {}, {}), {ints({kHuge, kHuge})}},
      {"negative", node("ConstantOfShape", {}, {}), {ints({-1})}},
      {"sizes", node("Range", {}, {}), {int_scalar(0), int_scalar(kMax), int_scalar(1)}},
      {"span", node("Range", {}, {}), {int_scalar(kMin), int_scalar(kMax), int_scalar(1)}},
      {"no step", node("Range", {}, {}), {int_scalar(0), int_scalar(5), int_scalar(0)}},
      {"NaN",
       node("Range", {}, {}),
       {Tensor::scalar(0.0F), Tensor::scalar(std::numeric_limits<float>::quiet_NaN()),
        Tensor::scalar(1.0F)}},
      {"sizes", node("Tile", {}, {}), {x, ints({kHuge, 1})}},
      {"overflow", node("Tile", {}, {}), {x, ints({kMax, kMax})}},
      {"negative", node("Tile", {}, {}), {x, ints({-1, 1})}},
      {"count", node("Tile", {}, {}), {x, ints({1})}},
      {"sizes", node("Pad", {}, {}), {x, ints({kHuge, 0, 0, 0})}},
      {"overflow", node("Pad", {}, {}), {x, ints({kMax, 0, kMax, 0})}},
      {"cut too much", node("Pad", {}, {}), {x, ints({-3, 0, 0, 0})}},
      {"count", node("Pad", {}, {}), {x, ints({1, 1})}},
      {"nothing to repeat",
       node("Pad", {}, {}, {{"mode", std::string("reflect")}}),
       {floats({0, 3}), ints({1, 0, 0, 0})}},
      {"sizes",
       node("OneHot", {}, {}),
       {ints({1}), int_scalar(kHuge), Tensor::of<float>({2}, {0, 1})}},
      {"negative",
       node("OneHot", {}, {}),
       {ints({1}), int_scalar(-1), Tensor::of<float>({2}, {0, 1})}},
      {"two open", node("Reshape", {}, {}), {x, ints({-1, -1})}},
      {"overflow", node("Reshape", {}, {}), {x, ints({kHuge, kHuge})}},
      {"no such dimension", node("Reshape", {}, {}), {x, ints({1, 6, 0})}},
      {"does not divide", node("Reshape", {}, {}), {x, ints({4, -1})}},
      {"zero and open", node("Reshape", {}, {}, {{"allowzero", int64_t{1}}}), {x, ints({0, -1})}},
      {"axis", node("Flatten", {}, {}, {{"axis", int64_t{3}}}), {x}},
      {"axis", node("Concat", {}, {}, {{"axis", kMax}}), {x, x}},
      {"shapes", node("Concat", {}, {}, {{"axis", int64_t{0}}}), {x, floats({2, 2})}},
      {"ranks", node("Concat", {}, {}, {{"axis", int64_t{0}}}), {x, floats({2})}},
      {"axis", node("Gather", {}, {}, {{"axis", int64_t{-3}}}), {x, ints({0})}},
      {"index", node("Gather", {}, {}), {x, ints({2})}},
      {"index", node("Gather", {}, {}), {x, ints({-3})}},
      {"index", node("Gather", {}, {}), {floats({0, 3}), ints({0})}},
      {"type", node("Gather", {}, {}), {x, x}},
      {"index", node("GatherElements", {}, {}), {x, Tensor::of<int64_t>({1, 1}, {2})}},
      {"shape", node("GatherElements", {}, {}), {x, Tensor::of<int64_t>({2, 4}, Ints(8, 0))}},
      {"index", node("GatherND", {}, {}), {x, Tensor::of<int64_t>({1, 2}, {0, 3})}},
      {"width", node("GatherND", {}, {}), {x, Tensor::of<int64_t>({1, 3}, {0, 0, 0})}},
      {"scalar", node("GatherND", {}, {}), {x, int_scalar(0)}},
      {"batch",
       node("GatherND", {}, {}, {{"batch_dims", int64_t{2}}}),
       {x, Tensor::of<int64_t>({2, 3}, Ints(6, 0))}},
      {"index", node("ScatterND", {}, {}), {x, Tensor::of<int64_t>({1, 1}, {5}), floats({1, 3})}},
      {"updates", node("ScatterND", {}, {}), {x, Tensor::of<int64_t>({1, 1}, {0}), floats({1, 2})}},
      {"index",
       node("ScatterElements", {}, {}),
       {x, Tensor::of<int64_t>({1, 1}, {-3}), floats({1, 1})}},
      {"updates",
       node("ScatterElements", {}, {}),
       {x, Tensor::of<int64_t>({1, 1}, {0}), floats({1, 2})}},
      {"step", node("Slice", {}, {}), {x, ints({0}), ints({1}), ints({0}), ints({0})}},
      {"lengths", node("Slice", {}, {}), {x, ints({0, 0}), ints({1})}},
      {"axis twice", node("Slice", {}, {}), {x, ints({0, 0}), ints({1, 1}), ints({0, -2})}},
      {"sum", node("Split", {}, {"a", "b"}), {x, ints({1, 2})}},
      {"negative", node("Split", {}, {"a", "b"}), {x, ints({3, -1})}},
      {"wraps", node("Split", {}, {"a", "b", "c"}), {x, ints({kMax, kMax, 4})}},
      {"count", node("Split", {}, {"a", "b"}), {x, ints({2})}},
      {"not one", node("Squeeze", {}, {}), {x, ints({0})}},
      {"axis", node("Squeeze", {}, {}), {x, ints({2})}},
      {"axis twice", node("Unsqueeze", {}, {}), {x, ints({0, 0})}},
      {"axis", node("Unsqueeze", {}, {}), {x, ints({kMin})}},
      {"perm", node("Transpose", {}, {}, {{"perm", Ints{0, 0}}}), {x}},
      {"perm", node("Transpose", {}, {}, {{"perm", Ints{0, 1, 2}}}), {x}},
      {"axis", node("ReduceSum", {}, {}), {x, ints({2})}},
      {"axis twice", node("ReduceSum", {}, {}), {x, ints({0, -2})}},
      {"axis", node("ArgMax", {}, {}, {{"axis", int64_t{2}}}), {x}},
      {"empty", node("ArgMax", {}, {}), {floats({0, 2})}},
      {"k", node("TopK", {}, {"v", "i"}), {x, ints({4})}},
      {"k", node("TopK", {}, {"v", "i"}), {x, ints({-1})}},
      {"axis", node("CumSum", {}, {}), {x, int_scalar(kMin)}},
      {"zero", node("Div", {}, {}), {ints({1, 2}), ints({1, 0})}},
      {"zero", node("Mod", {}, {}), {ints({1, 2}), int_scalar(0)}},
      {"types", node("Add", {}, {}), {x, ints({1})}},
      {"shapes", node("Where", {}, {}), {Tensor::of<bool>({4}, {true, true, false, false}), x, x}},
      {"condition", node("Where", {}, {}), {x, x, x}},
      {"bounds", node("Clip", {}, {}), {x, floats({2}), none}},
      {"to", node("Cast", {}, {}, {{"to", int64_t{17}}}), {x}},
      {"to", node("Cast", {}, {}, {{"to", int64_t{300}}}), {x}},
      {"to", node("Cast", {}, {}, {{"to", int64_t{8}}}), {x}},
      {"equation", node("Einsum", {}, {}, {{"equation", std::string("ij,jk->")}}), {x}},
      {"equation", node("Einsum", {}, {}, {{"equation", std::string("i.j->i")}}), {x}},
      {"rank", node("Einsum", {}, {}, {{"equation", std::string("ijk->i")}}), {x}},
      {"label", node("Einsum", {}, {}, {{"equation", std::string("ij->z")}}), {x}},
      {"label twice", node("Einsum", {}, {}, {{"equation", std::string("ij->ii")}}), {x}},
      {"sizes",
       node("Einsum", {}, {}, {{"equation", std::string("ij,ij->ij")}}),
       {x, floats({3, 2})}},
      {"rank", node("Trilu", {}, {}), {ints({1})}},
      {"rank", node("EyeLike", {}, {}), {ints({1})}},
      {"block", node("DepthToSpace", {}, {}, {{"blocksize", kMax}}), {floats({1, 4, 1, 1})}},
      {"block", node("SpaceToDepth", {}, {}, {{"blocksize", int64_t{0}}}), {floats({1, 1, 2, 2})}},
  };
}

TEST(Hostile, IsAnErrorWithTheNodesName) {
  for (const Attack& a : attacks()) {
    SCOPED_TRACE(a.node.op_type + ", " + a.name);
    Node n = a.node;
    n.name = "the_node";
    const auto out = test::run_node(n, a.inputs, a.opset);
    ASSERT_FALSE(out);
    EXPECT_NE(out.error().message.find("the_node"), std::string::npos) << out.error().message;
    EXPECT_NE(out.error().code, Code::internal) << out.error().message;
  }
}

TEST(Hostile, ConstantsDoNotBlowUpLoading) {
  for (const Attack& a : attacks()) {
    SCOPED_TRACE(a.node.op_type + ", " + a.name);
    Node n = a.node;
    n.inputs.clear();
    if (n.outputs.empty()) n.outputs = {"out"};
    std::vector<Initializer> constants;
    for (size_t i = 0; i < a.inputs.size(); ++i) {
      n.inputs.push_back(a.inputs[i].defined() ? "c" + std::to_string(i) : "");
      if (a.inputs[i].defined()) constants.emplace_back(n.inputs.back(), a.inputs[i]);
    }
    const auto outputs = n.outputs;
    auto session = Session::create(
        test::model({n}, {test::value("x", DType::f32)}, outputs, constants, a.opset));
    if (!session) continue;
    EXPECT_FALSE(session->run(std::vector<Feed>{{"x", Tensor::scalar(1.0F)}}));
  }
}

// The same limits, where the answer is well-defined: no trap, no overflow.
TEST(Hostile, ExtremesThatHaveAnAnswer) {
  const auto check = [](const char* what, Node n, const std::vector<Tensor>& in, Shape shape,
                        const Ints& want) {
    SCOPED_TRACE(what);
    const auto out = test::run_node(std::move(n), in);
    ASSERT_TRUE(out) << out.error().message;
    EXPECT_EQ((*out)[0].shape(), shape);
    EXPECT_EQ(test::values<int64_t>((*out)[0]), want);
  };
  const Tensor row = ints({1, 2, 3});
  check("Div", node("Div", {}, {}), {ints({kMin}), ints({-1})}, {1}, {kMin});
  check("Mod", node("Mod", {}, {}), {ints({kMin}), ints({-1})}, {1}, {0});
  check("fmod", node("Mod", {}, {}, {{"fmod", int64_t{1}}}), {ints({kMin, -7}), ints({-1, 3})}, {2},
        {0, -1});
  check("Mod sign", node("Mod", {}, {}), {ints({-7, 7}), ints({3, -3})}, {2}, {2, -2});
  check("Neg", node("Neg", {}, {}), {ints({kMin})}, {1}, {kMin});
  check("Abs", node("Abs", {}, {}), {ints({kMin})}, {1}, {kMin});
  check("Mul", node("Mul", {}, {}), {ints({kMax}), ints({2})}, {1}, {-2});
  check("Slice all", node("Slice", {}, {}), {row, ints({kMin}), ints({kMax})}, {3}, {1, 2, 3});
  check("Slice back", node("Slice", {}, {}),
        {row, ints({kMax}), ints({kMin}), ints({0}), ints({-1})}, {3}, {3, 2, 1});
  check("Slice far step", node("Slice", {}, {}),
        {row, ints({kMax}), ints({kMin}), ints({0}), ints({kMin})}, {1}, {3});
  check("Slice far step", node("Slice", {}, {}),
        {row, ints({0}), ints({kMax}), ints({0}), ints({kMax})}, {1}, {1});
  check("Slice nothing", node("Slice", {}, {}), {row, ints({2}), ints({1})}, {0}, {});
  const Tensor square = Tensor::of<int64_t>({2, 2}, {1, 2, 3, 4});
  check("Trilu", node("Trilu", {}, {}), {square, int_scalar(kMin)}, {2, 2}, {1, 2, 3, 4});
  check("Trilu", node("Trilu", {}, {}), {square, int_scalar(kMax)}, {2, 2}, {0, 0, 0, 0});
  check("EyeLike", node("EyeLike", {}, {}, {{"k", kMax}}), {square}, {2, 2}, {0, 0, 0, 0});
  check("BitShift", node("BitShift", {}, {}, {{"direction", std::string("RIGHT")}}),
        {ints({-8}), ints({64})}, {1}, {-1});
  check("Pow", node("Pow", {}, {}), {ints({-1, 3}), ints({kMin, -1})}, {2}, {1, 0});
  const float inf = std::numeric_limits<float>::infinity();
  check("Cast", node("Cast", {}, {}, {{"to", int64_t{7}}}),
        {Tensor::of<float>({5}, {inf, -inf, NAN, 1e30F, -2.9F})}, {5}, {kMax, kMin, 0, kMax, -2});
}

}  // namespace
}  // namespace octavo
