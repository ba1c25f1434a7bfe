// Reductions against a sum in float64 over every subset of axes, and Einsum against its definition.

#include <cmath>
#include <random>

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using Ints = std::vector<int64_t>;

Tensor random(const Shape& shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> number(-1.5F, 2);
  std::vector<float> v(static_cast<size_t>(*element_count(shape)));
  for (float& f : v) f = number(engine);
  return Tensor::of<float>(shape, v);
}

struct Reference {
  const char* op;
  double start;
  double (*step)(double, double);
  double (*finish)(double, double);
};

double last(double a, double) { return a; }

const Reference kReferences[] = {
    {"ReduceSum", 0, [](double a, double x) { return a + x; }, last},
    {"ReduceMean", 0, [](double a, double x) { return a + x; },
     [](double a, double n) { return a / n; }},
    {"ReduceMax", -INFINITY, [](double a, double x) { return std::fmax(a, x); }, last},
    {"ReduceMin", INFINITY, [](double a, double x) { return std::fmin(a, x); }, last},
    {"ReduceProd", 1, [](double a, double x) { return a * x; }, last},
    {"ReduceL1", 0, [](double a, double x) { return a + std::fabs(x); }, last},
    {"ReduceL2", 0, [](double a, double x) { return a + x * x; },
     [](double a, double) { return std::sqrt(a); }},
    {"ReduceSumSquare", 0, [](double a, double x) { return a + x * x; }, last},
    {"ReduceLogSumExp", 0, [](double a, double x) { return a + std::exp(x); },
     [](double a, double) { return std::log(a); }},
};

TEST(Reduce, AnyAxesAnyThreads) {
  const Shape shape{3, 5, 2, 37};
  const Tensor x = random(shape, 5);
  for (const Reference& r : kReferences) {
    for (unsigned subset = 1; subset < 16; ++subset) {
      for (const int64_t keep : {0, 1}) {
        Ints axes;
        Shape kept;
        for (size_t d = 0; d < 4; ++d) {
          if ((subset >> d & 1U) != 0) {
            axes.push_back(d % 2 == 0 ? static_cast<int64_t>(d) : static_cast<int64_t>(d) - 4);
            if (keep != 0) kept.push_back(1);
          } else {
            kept.push_back(shape[d]);
          }
        }
        SCOPED_TRACE(std::string(r.op) + " over " + to_string(axes));
        // Into each result, in double.
        std::vector<double> want(static_cast<size_t>(*element_count(kept)), r.start);
        double each = 1;
        for (const int64_t a : axes)
          each *= static_cast<double>(shape[static_cast<size_t>((a + 4) % 4)]);
        for (int64_t i = 0; i < x.size(); ++i) {
          int64_t at = 0;
          int64_t rest = x.size();
          int64_t flat = i;
          for (size_t d = 0; d < 4; ++d) {
            rest /= shape[d];
            if ((subset >> d & 1U) == 0) at = at * shape[d] + flat / rest;
            flat %= rest;
          }
          double& w = want[static_cast<size_t>(at)];
          w = r.step(w, static_cast<double>(x.data<float>()[i]));
        }
        const Node n = node(r.op, {}, {}, {{"axes", axes}, {"keepdims", keep}});
        const auto one = test::run_node(n, {x}, 12, 1);
        const auto three = test::run_node(n, {x}, 12, 3);
        ASSERT_TRUE(one && three) << one.error().message;
        ASSERT_EQ((*one)[0].shape(), kept);
        EXPECT_EQ(test::values<float>((*one)[0]), test::values<float>((*three)[0]));
        for (size_t i = 0; i < want.size(); ++i) {
          const double w = r.finish(want[i], each);
          ASSERT_NEAR((*one)[0].data<float>()[i], w, 2e-6 * (std::fabs(w) + each)) << i;
        }
      }
    }
  }
}

TEST(Reduce, NothingAndNaN) {
  const Tensor empty = Tensor::of<float>({2, 0}, {});
  const struct {
    const char* op;
    float want;
  } cases[] = {{"ReduceSum", 0},         {"ReduceProd", 1},
               {"ReduceMax", -INFINITY}, {"ReduceMin", INFINITY},
               {"ReduceL2", 0},          {"ReduceLogSum", -INFINITY},
               {"ReduceMean", NAN},      {"ReduceLogSumExp", -INFINITY}};
  for (const auto& c : cases) {
    const auto out = test::run_node(
        node(c.op, {}, {}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}}), {empty}, 12);
    ASSERT_TRUE(out) << c.op << out.error().message;
    const float got = (*out)[0].data<float>()[1];
    EXPECT_TRUE(got == c.want || (std::isnan(got) && std::isnan(c.want))) << c.op << " " << got;
  }
  const Tensor nan = Tensor::of<float>({4}, {1, NAN, 3, 2});
  for (const char* op : {"ReduceMax", "ReduceMin", "ReduceSum", "ReduceLogSumExp"}) {
    const auto out = test::run_node(node(op, {}, {}), {nan}, 12);
    EXPECT_TRUE(out && std::isnan((*out)[0].data<float>()[0])) << op;
  }
}

TEST(Einsum, MatrixProductsAndTheDefinitionAgree) {
  // The float64 form goes through the definition, the float32 one through matrix products.
  const struct {
    const char* equation;
    Shape a, b, y;
  } cases[] = {{"ij,jk->ik", {3, 4}, {4, 5}, {3, 5}},
               {"bhid,bhjd->bhij", {2, 3, 5, 8}, {2, 3, 7, 8}, {2, 3, 5, 7}},
               {"bhij,bhjd->bihd", {2, 3, 5, 7}, {2, 3, 7, 8}, {2, 5, 3, 8}},
               {"...ij,...jk", {2, 1, 3, 4}, {5, 4, 2}, {2, 5, 3, 2}},
               {"i,j->ji", {3}, {4}, {4, 3}},
               {"ij,ij->", {3, 4}, {3, 4}, {}},
               {"bij,bij->b", {2, 3, 4}, {2, 3, 4}, {2}},
               {"ij,kj->ik", {3, 1}, {2, 4}, {3, 2}},
               {"ii,ij->ij", {3, 3}, {3, 2}, {3, 2}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.equation);
    const Tensor a = random(c.a, 1);
    const Tensor b = random(c.b, 2);
    const auto wide = [](const Tensor& t) {
      return Tensor::of<double>(t.shape(), {t.data<float>(), t.data<float>() + t.size()});
    };
    const Node n = node("Einsum", {}, {}, {{"equation", std::string(c.equation)}});
    const auto single = test::run_node(n, {a, b});
    const auto exact = test::run_node(n, {wide(a), wide(b)});
    ASSERT_TRUE(single && exact) << (single ? exact : single).error().message;
    ASSERT_EQ((*single)[0].shape(), c.y);
    ASSERT_EQ((*exact)[0].shape(), c.y);
    for (int64_t i = 0; i < (*single)[0].size(); ++i)
      EXPECT_NEAR((*single)[0].data<float>()[i], (*exact)[0].data<double>()[i], 2e-5) << i;
  }
}

}  // namespace
}  // namespace octavo
