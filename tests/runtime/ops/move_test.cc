// Ops that move elements, against one index calculation an element: every permutation up to rank 4
// and sizes around the tiles, slices with any start, end and step, tiles and expansions.

#include <algorithm>
#include <numeric>
#include <random>

#include "runtime/graphs.h"

namespace octavo {
namespace {

using test::node;
using Ints = std::vector<int64_t>;

Tensor ints(const Ints& v) { return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v); }

template <class T>
Tensor counted(Shape shape) {
  std::vector<T> v(static_cast<size_t>(*element_count(shape)));
  std::iota(v.begin(), v.end(), T{0});
  return Tensor::of<T>(std::move(shape), v);
}

Ints position(const Shape& shape, int64_t flat) {
  Ints at(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    at[d] = flat % shape[d];
    flat /= shape[d];
  }
  return at;
}

int64_t offset(const Shape& shape, const Ints& at) {
  int64_t n = 0;
  for (size_t d = 0; d < shape.size(); ++d) n = n * shape[d] + at[d];
  return n;
}

// out[p] = in[from(p)] for every position.
template <class T, class F>
void expect_moved(const Tensor& in, const Result<std::vector<Tensor>>& out, const Shape& shape,
                  const F& from) {
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_EQ((*out)[0].shape(), shape);
  for (int64_t i = 0; i < (*out)[0].size(); ++i) {
    const int64_t source = offset(in.shape(), from(position(shape, i)));
    ASSERT_EQ((*out)[0].data<T>()[i], in.data<T>()[source]) << i;
  }
}

template <class T>
void transposes(const Shape& shape) {
  const Tensor x = counted<T>(shape);
  Ints perm(shape.size());
  std::iota(perm.begin(), perm.end(), 0);
  do {
    SCOPED_TRACE(to_string(shape) + " perm " + to_string(perm));
    Shape result;
    for (const int64_t p : perm) result.push_back(shape[static_cast<size_t>(p)]);
    const auto out = test::run_node(node("Transpose", {}, {}, {{"perm", perm}}), {x}, 17, 3);
    expect_moved<T>(x, out, result, [&](const Ints& at) {
      Ints from(at.size());
      for (size_t d = 0; d < at.size(); ++d) from[static_cast<size_t>(perm[d])] = at[d];
      return from;
    });
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(Move, TransposesEveryWay) {
  for (const Shape& s : {Shape{}, Shape{5}, Shape{1, 7}, Shape{17, 33}, Shape{64, 130},
                         Shape{3, 1, 5}, Shape{2, 3, 4}, Shape{2, 17, 3, 16}, Shape{2, 5, 12, 32},
                         Shape{1, 9, 1, 4}, Shape{0, 3, 2}}) {
    transposes<float>(s);
    transposes<int64_t>(s);
  }
  transposes<int16_t>({3, 18, 5});
  transposes<uint8_t>({2, 3, 2, 2});
}

TEST(Move, SlicesAsTheStandardSays) {
  std::mt19937 random(11);
  const auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  const Shape shape{6, 5, 7};
  const Tensor x = counted<float>(shape);
  for (int round = 0; round < 500; ++round) {
    Ints starts, ends, axes, steps;
    Shape result = shape;
    std::vector<Ints> sources;
    for (const int64_t dim : shape) {
      Ints all(static_cast<size_t>(dim));
      std::iota(all.begin(), all.end(), 0);
      sources.push_back(all);
    }
    for (int64_t axis = 0; axis < 3; ++axis) {
      if (random() % 3 == 0) continue;
      const int64_t dim = shape[static_cast<size_t>(axis)];
      int64_t step = pick(-3, 3);
      if (step == 0) step = 1;
      starts.push_back(pick(-dim - 2, dim + 2));
      ends.push_back(pick(-dim - 2, dim + 2));
      axes.push_back(random() % 2 == 0 ? axis : axis - 3);
      steps.push_back(step);
      // The standard's text: the start is cut to [0, dim - 1] when going backwards.
      const auto index = [&](int64_t i, int64_t lowest) {
        if (i < 0) i += dim;
        return step > 0 ? std::clamp<int64_t>(i, 0, dim) : std::clamp<int64_t>(i, lowest, dim - 1);
      };
      const int64_t end = index(ends.back(), -1);
      Ints& list = sources[static_cast<size_t>(axis)];
      list.clear();
      for (int64_t i = index(starts.back(), 0); step > 0 ? i < end : i > end; i += step)
        list.push_back(i);
      result[static_cast<size_t>(axis)] = static_cast<int64_t>(list.size());
    }
    if (axes.empty()) continue;
    SCOPED_TRACE(to_string(starts) + to_string(ends) + to_string(axes) + to_string(steps));
    const auto out = test::run_node(node("Slice", {}, {}),
                                    {x, ints(starts), ints(ends), ints(axes), ints(steps)});
    expect_moved<float>(x, out, result, [&](const Ints& at) {
      Ints from;
      for (size_t d = 0; d < at.size(); ++d) from.push_back(sources[d][static_cast<size_t>(at[d])]);
      return from;
    });
  }
}

TEST(Move, ExpandsAndTiles) {
  const Tensor x = counted<float>({3, 1, 4});
  expect_moved<float>(x, test::run_node(node("Expand", {}, {}), {x, ints({2, 1, 5, 1})}),
                      {2, 3, 5, 4}, [](const Ints& at) {
                        return Ints{at[1], 0, at[3]};
                      });
  expect_moved<float>(x, test::run_node(node("Expand", {}, {}), {x, ints({4})}), {3, 1, 4},
                      [](const Ints& at) { return at; });
  expect_moved<float>(x, test::run_node(node("Tile", {}, {}), {x, ints({2, 3, 2})}), {6, 3, 8},
                      [](const Ints& at) {
                        return Ints{at[0] % 3, 0, at[2] % 4};
                      });
  expect_moved<float>(x, test::run_node(node("Tile", {}, {}), {x, ints({2, 0, 2})}), {6, 0, 8},
                      [](const Ints& at) { return at; });
}

TEST(Move, GathersRowsAlongAnyAxis) {
  const Tensor x = counted<float>({4, 3, 5});
  const Tensor index = Tensor::of<int64_t>({2, 2}, {2, -1, 0, 2});
  const Ints row{2, 2, 0, 2};
  for (const int64_t axis : {0, 1, 2, -1}) {
    SCOPED_TRACE(axis);
    const auto a = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    Ints places{2, x.dim(a) - 1, 0, 2};
    Shape shape = x.shape();
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(a));
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(a), {2, 2});
    const auto from = [&](const Ints& at) {
      Ints source(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(a));
      source.push_back(places[static_cast<size_t>(at[a] * 2 + at[a + 1])]);
      source.insert(source.end(), at.begin() + static_cast<std::ptrdiff_t>(a) + 2, at.end());
      return source;
    };
    expect_moved<float>(x, test::run_node(node("Gather", {}, {}, {{"axis", axis}}), {x, index}),
                        shape, from);
    const Tensor narrow = Tensor::of<int32_t>({2, 2}, {2, -1, 0, 2});
    expect_moved<float>(x, test::run_node(node("Gather", {}, {}, {{"axis", axis}}), {x, narrow}),
                        shape, from);
  }
}

TEST(Move, SplitsAndConcatenatesBack) {
  const Tensor x = counted<float>({3, 7, 2});
  for (const int64_t axis : {0, 1, 2, -2}) {
    SCOPED_TRACE(axis);
    const int64_t dim = x.dim(static_cast<size_t>(axis < 0 ? axis + 3 : axis));
    const Ints parts{1, 0, dim - 1};
    auto session = Session::create(test::model(
        {node("Split", {"x", "parts"}, {"a", "b", "c"}, {{"axis", axis}}),
         node("Concat", {"a", "b", "c"}, {"y"}, {{"axis", axis}})},
        {test::value("x", DType::f32)}, {"y", "c"}, {Initializer("parts", ints(parts))}));
    ASSERT_TRUE(session) << session.error().message;
    const auto out = session->run(std::vector<Feed>{{"x", x}});
    expect_moved<float>(x, out, x.shape(), [](const Ints& at) { return at; });
  }
}

// Views share bytes: what is made from one must not be written through another.
TEST(Move, ViewsStayWhatTheyWere) {
  auto session = Session::create(
      test::model({node("Neg", {"x"}, {"n"}), node("Reshape", {"n", "shape"}, {"v"}),
                   node("Neg", {"v"}, {"w"}), node("Unsqueeze", {"n", "axes"}, {"u"}),
                   node("Add", {"u", "one"}, {"a"}), node("Identity", {"n"}, {"i"})},
                  {test::value("x", DType::f32)}, {"w", "a", "i", "v"},
                  {Initializer("shape", ints({6})), Initializer("axes", ints({0})),
                   Initializer("one", Tensor::scalar(1.0F))}));
  ASSERT_TRUE(session) << session.error().message;
  const auto out = session->run(std::vector<Feed>{{"x", counted<float>({2, 3})}});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(test::values<float>((*out)[0]), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(test::values<float>((*out)[1]), (std::vector<float>{1, 0, -1, -2, -3, -4}));
  EXPECT_EQ(test::values<float>((*out)[2]), (std::vector<float>{0, -1, -2, -3, -4, -5}));
  EXPECT_EQ((*out)[1].shape(), (Shape{1, 2, 3}));
  EXPECT_EQ((*out)[3].shape(), (Shape{6}));
}

}  // namespace
}  // namespace octavo
