#pragma once
// Small random encoders for property tests: layers put together from the spellings that exporters
// and people use for norms, projections, attention and feed-forward blocks, with shared weights,
// extra outputs and outlier channels thrown in. Same seed, same model.

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace octavo {

class RandomEncoder {
 public:
  explicit RandomEncoder(uint32_t seed) : random_(seed) {}

  Model make() {
    const int64_t head_choices[][2] = {{1, 1}, {2, 2}, {2, 1}, {4, 2}, {3, 1}};
    const auto& chosen = head_choices[pick(5)];
    heads_ = chosen[0];
    kv_heads_ = chosen[1];
    head_dim_ = 2 * (1 + pick(3));
    width_ = 4 * (1 + pick(4));
    const Value ids = b_.input("input_ids", DType::i64, {"batch", "sequence"});
    Value x = op("Gather", {weight({30, width_}, 1.0F), ids});
    const int layers = 1 + pick(2);
    for (int layer = 0; layer < layers; ++layer) {
      x = block(x, [&](const Value& in) { return attention(in); });
      x = block(x, [&](const Value& in) { return feed_forward(in); });
      if (chance(20)) x = expose(x);
    }
    Value y = norm(x);
    if (chance(20)) y = op("MatMul", {expose(y), weight({width_, width_}, 0.5F)});
    b_.output(y, "y", DType::f32, {"batch", "sequence", width_});
    return std::move(b_).finish(17);
  }

 private:
  int pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  bool chance(int percent) { return pick(100) < percent; }
  float number(float spread) {
    return spread * (static_cast<float>(random_() % 20001) / 10000.0F - 1.0F);
  }
  Value op(const std::string& type, const std::vector<Value>& in, Attributes attributes = {}) {
    return b_.op(type, in, std::move(attributes));
  }
  Value ints(const Ints& values) { return b_.ints(values); }

  // Fresh, or now and then one of the same shape that is already in use (tied weights).
  Value weight(const Shape& shape, float spread) {
    for (const auto& [known, value] : pool_) {
      if (known == shape && chance(8)) return value;
    }
    std::vector<float> values(static_cast<size_t>(*element_count(shape)));
    for (float& v : values) v = number(spread);
    if (shape.size() == 1 && chance(50)) values[values.size() / 2] *= 40;  // an outlier channel
    const Tensor tensor = Tensor::of<float>(shape, values);
    const std::string name = "w" + std::to_string(pool_.size());
    const Value made = chance(10) ? op("Constant", {}, {{"value", tensor}})
                                  : b_.initializer(Initializer(name, tensor));
    pool_.emplace_back(shape, made);
    return made;
  }
  // Either the value itself becomes an output, or a copy of it.
  Value expose(const Value& x) {
    const std::string name = "hidden" + std::to_string(exposed_++);
    const bool copy = chance(50);
    b_.output(copy ? op("Identity", {x}) : x, name, DType::f32, {"batch", "sequence", width_});
    return copy ? x : Value{&b_, name};
  }

  Value norm(const Value& x) {
    const Value gain = weight({width_}, 1.5F);
    const Value bias = weight({width_}, 0.3F);
    const auto mean = [&](const Value& v) {
      return op("ReduceMean", {v}, {{"axes", Ints{-1}}, {"keepdims", int64_t{1}}});
    };
    switch (pick(4)) {
      case 0:
        return op("LayerNormalization", {x, gain, bias}, {{"axis", int64_t{-1}}});
      case 1: {
        const Value centred = x - mean(x);
        const Value deviation = op("Sqrt", {mean(centred * centred) + 1e-3F});
        return centred / deviation * gain + bias;
      }
      case 2:
        return gain * (x / op("Sqrt", {mean(op("Pow", {x, b_.scalar(2.0F)})) + 1e-3F}));
      default:
        return x * op("Reciprocal", {op("Sqrt", {mean(x * x) + 1e-3F})}) * gain;
    }
  }

  Value linear(const Value& x, int64_t in, int64_t out, bool bias) {
    const float spread = 1.5F / std::sqrt(static_cast<float>(in));
    Value y;
    switch (pick(4)) {
      case 0:
        y = op("MatMul", {x, op("Transpose", {weight({out, in}, spread)}, {{"perm", Ints{1, 0}}})});
        break;
      case 1: {  // as Flatten, Gemm, Reshape; only for [batch, sequence, in]
        const Value flat = op("Reshape", {x, ints({-1, in})});
        std::vector<Value> inputs = {flat, weight({out, in}, spread)};
        if (bias) inputs.push_back(weight({out}, 0.3F));
        const Value rows = op("Gemm", inputs, {{"transB", int64_t{1}}, {"alpha", 0.75F}});
        const Value shape =
            op("Concat", {op("Slice", {op("Shape", {x}), ints({0}), ints({2})}), ints({out})},
               {{"axis", int64_t{0}}});
        return op("Reshape", {rows, shape});
      }
      default:
        y = op("MatMul", {x, weight({in, out}, spread)});
    }
    if (!bias) return y;
    return chance(50) ? y + weight({out}, 0.3F) : weight({out}, 0.3F) + y;
  }

  template <class F>
  Value block(const Value& x, const F& inner) {
    switch (pick(4)) {
      case 0:  // post-norm: the norm feeds the residual of the next block
        return norm(x + inner(x));
      case 1:  // no residual at all
        return inner(norm(x));
      default:
        return x + inner(norm(x));
    }
  }

  Value split_heads(const Value& x, int64_t heads) {
    const Value parts = op("Reshape", {x, ints({0, 0, heads, head_dim_})});
    return op("Transpose", {parts}, {{"perm", Ints{0, 2, 1, 3}}});
  }
  Value repeat(const Value& x) {
    const int64_t times = heads_ / kv_heads_;
    if (times == 1) return x;
    const Value shape = ints({0, heads_, -1, head_dim_});
    switch (pick(3)) {
      case 0:
        return op(
            "Reshape",
            {op("Expand", {op("Unsqueeze", {x, ints({2})}), ints({1, 1, times, 1, 1})}), shape});
      case 1:
        return op(
            "Reshape",
            {op("Tile", {op("Unsqueeze", {x, ints({2})}), ints({1, 1, times, 1, 1})}), shape});
      default: {
        Ints sources;
        for (int64_t h = 0; h < heads_; ++h) sources.push_back(h / times);
        return op("Gather", {x, ints(sources)}, {{"axis", int64_t{1}}});
      }
    }
  }

  Value attention(const Value& x) {
    const int64_t q_width = heads_ * head_dim_;
    const int64_t kv_width = kv_heads_ * head_dim_;
    const bool bias = chance(50);
    Value q, k, v;
    if (chance(40)) {
      const Value fused = linear(x, width_, q_width + 2 * kv_width, bias);
      if (chance(50)) {
        const auto parts = b_.ops("Split", {fused, ints({q_width, kv_width, kv_width})}, 3,
                                  {{"axis", int64_t{-1}}});
        q = parts[0], k = parts[1], v = parts[2];
      } else {
        const auto slice = [&](int64_t from, int64_t to) {
          return op("Slice", {fused, ints({from}), ints({to}), ints({2})});
        };
        q = slice(0, q_width);
        k = slice(q_width, q_width + kv_width);
        v = slice(-kv_width, INT64_MAX);
      }
    } else {
      q = linear(x, width_, q_width, bias);
      k = linear(x, width_, kv_width, bias);
      v = linear(x, width_, kv_width, bias);
    }
    const Value keys = repeat(split_heads(k, kv_heads_));
    const Value scores = op("MatMul", {split_heads(q, heads_) * 0.5F,
                                       op("Transpose", {keys}, {{"perm", Ints{0, 1, 3, 2}}})});
    const Value mixed = op("MatMul", {op("Softmax", {scores}, {{"axis", int64_t{-1}}}),
                                      repeat(split_heads(v, kv_heads_))});
    const Value rows = op("Transpose", {mixed}, {{"perm", Ints{0, 2, 1, 3}}});
    return linear(op("Reshape", {rows, ints({0, 0, q_width})}), q_width, width_, bias);
  }

  Value feed_forward(const Value& x) {
    const int64_t inner = 2 * (2 + pick(6));
    const bool bias = chance(50);
    const auto act = [&](const Value& v) {
      switch (pick(3)) {
        case 0:
          return v * op("Sigmoid", {v});
        case 1:
          return op("Relu", {v});
        default:
          return v * (op("Erf", {v / 1.4142135F}) + 1.0F) * 0.5F;
      }
    };
    if (chance(40)) return linear(act(linear(x, width_, inner, bias)), inner, width_, bias);
    Value gate, up;
    if (chance(30)) {
      const auto parts =
          b_.ops("Split", {linear(x, width_, 2 * inner, bias)}, 2, {{"axis", int64_t{-1}}});
      gate = parts[0], up = parts[1];
    } else {
      gate = linear(x, width_, inner, bias);
      up = linear(x, width_, inner, bias);
    }
    const Value product = chance(50) ? act(gate) * up : up * act(gate);
    return linear(product, inner, width_, bias);
  }

  std::mt19937 random_;
  GraphBuilder b_{"random"};
  std::vector<std::pair<Shape, Value>> pool_;
  int exposed_ = 0;
  int64_t heads_ = 1, kv_heads_ = 1, head_dim_ = 2, width_ = 4;
};

}  // namespace octavo
