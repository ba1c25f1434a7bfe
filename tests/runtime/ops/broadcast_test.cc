// Element-wise ops against the definition of broadcasting, written with one index calculation an
// element: every pair of shapes, any number of threads, in place and not.

#include <cmath>
#include <random>

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;

// The element of t at a position of the broadcast shape.
float element(const Tensor& t, const Shape& shape, int64_t flat) {
  int64_t offset = 0;
  int64_t stride = 1;
  for (size_t back = 1; back <= shape.size(); ++back) {
    const int64_t dim = shape[shape.size() - back];
    const int64_t at = flat % dim;
    flat /= dim;
    if (back > t.rank()) continue;
    const int64_t own = t.dim(t.rank() - back);
    if (own != 1) offset += at * stride;
    stride *= own;
  }
  return t.data<float>()[offset];
}

Tensor random(const Shape& shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> number(-2, 2);
  std::vector<float> v(static_cast<size_t>(*element_count(shape)));
  for (float& f : v) f = number(engine);
  return Tensor::of<float>(shape, v);
}

const std::vector<std::array<Shape, 3>> kShapes = {
    // a, b, result
    {Shape{}, Shape{}, Shape{}},
    {Shape{1}, Shape{}, Shape{1}},
    {Shape{7}, Shape{7}, Shape{7}},
    {Shape{7}, Shape{}, Shape{7}},
    {Shape{1, 1}, Shape{5}, Shape{1, 5}},
    {Shape{3, 1}, Shape{1, 4}, Shape{3, 4}},
    {Shape{2, 3, 4}, Shape{4}, Shape{2, 3, 4}},
    {Shape{2, 3, 4}, Shape{3, 1}, Shape{2, 3, 4}},
    {Shape{2, 3, 4}, Shape{2, 1, 1}, Shape{2, 3, 4}},
    {Shape{2, 1, 4}, Shape{1, 3, 1}, Shape{2, 3, 4}},
    {Shape{2, 12, 5, 5}, Shape{2, 1, 1, 5}, Shape{2, 12, 5, 5}},
    {Shape{2, 12, 5, 5}, Shape{2, 1, 5, 5}, Shape{2, 12, 5, 5}},
    {Shape{0, 3}, Shape{3}, Shape{0, 3}},
    {Shape{0, 1}, Shape{1, 3}, Shape{0, 3}},
    {Shape{300, 257}, Shape{257}, Shape{300, 257}},
    {Shape{300, 257}, Shape{300, 1}, Shape{300, 257}},
    {Shape{70000}, Shape{70000}, Shape{70000}},
    {Shape{1, 1, 3, 1, 2}, Shape{4, 1, 3, 5, 1}, Shape{4, 1, 3, 5, 2}},
};

TEST(Broadcast, GivesTheElementsOfTheDefinition) {
  const struct {
    const char* op;
    float (*f)(float, float);
  } ops[] = {{"Add", [](float a, float b) { return a + b; }},
             {"Sub", [](float a, float b) { return a - b; }},
             {"Mul", [](float a, float b) { return a * b; }},
             {"Div", [](float a, float b) { return a / b; }},
             {"Max", [](float a, float b) { return a > b ? a : b; }},
             {"Pow", [](float a, float b) { return std::pow(a, b); }}};
  for (const auto& op : ops) {
    for (const auto& [sa, sb, want] : kShapes) {
      for (const bool swapped : {false, true}) {
        for (const int threads : {1, 3}) {
          const Tensor a = random(swapped ? sb : sa, 1);
          const Tensor b = random(swapped ? sa : sb, 2);
          SCOPED_TRACE(std::string(op.op) + " " + to_string(a.shape()) + to_string(b.shape()));
          const auto out = test::run_node(node(op.op, {}, {}), {a, b}, 17, threads);
          ASSERT_TRUE(out) << out.error().message;
          ASSERT_EQ((*out)[0].shape(), want);
          for (int64_t i = 0; i < (*out)[0].size(); ++i) {
            const float expected = op.f(element(a, want, i), element(b, want, i));
            const float got = (*out)[0].data<float>()[i];
            ASSERT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected)))
                << i << ": " << got << " instead of " << expected;
          }
        }
      }
    }
  }
}

// A chain in which the left or the right operand dies at each step: the executor works in place
// wherever it may, and must not where the dying operand is the smaller one.
TEST(Broadcast, InPlaceWhereSizesAllow) {
  for (const auto& [sa, sb, want] : kShapes) {
    for (const bool right : {false, true}) {
      SCOPED_TRACE(to_string(sa) + to_string(sb) + (right ? " right" : " left"));
      const Tensor a = random(sa, 3);
      const Tensor b = random(sb, 4);
      const auto pair = [&](const char* x, const char* y) {
        return right ? std::vector<std::string>{y, x} : std::vector<std::string>{x, y};
      };
      auto session = Session::create(
          test::model({node("Neg", {"a"}, {"na"}), node("Neg", {"b"}, {"nb"}),
                       node("Sub", pair("na", "nb"), {"d"}), node("Mul", pair("d", "b"), {"m"}),
                       node("Where", {"c", "m", "a"}, {"y"})},
                      {test::value("a", DType::f32), test::value("b", DType::f32),
                       test::value("c", DType::boolean)},
                      {"y"}));
      ASSERT_TRUE(session) << session.error().message;
      for (const bool which : {true, false}) {
        const auto out =
            session->run(std::vector<Feed>{{"a", a}, {"b", b}, {"c", Tensor::scalar<bool>(which)}});
        ASSERT_TRUE(out) << out.error().message;
        ASSERT_EQ((*out)[0].shape(), want);
        for (int64_t i = 0; i < (*out)[0].size(); ++i) {
          const float x = element(a, want, i);
          const float y = element(b, want, i);
          const float d = right ? x - y : y - x;
          ASSERT_EQ((*out)[0].data<float>()[i], which ? d * y : x) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace octavo
