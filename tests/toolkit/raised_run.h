#pragma once
// Raised graphs in plain double loops, straight from graph/raised_ops.h: slow, and independent of
// the kernels and of the compiled form. One text at a time.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/half.h"
#include "graph/graph.h"
#include "graph/raised_ops.h"
#include "passes/raise.h"

namespace octavo {

// [rows][width]
struct Rows {
  size_t rows = 0, width = 0;
  std::vector<double> x;
  double* row(size_t i) { return x.data() + i * width; }
  const double* row(size_t i) const { return x.data() + i * width; }
};

inline double at(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::f32:
      return double{t.data<float>()[i]};
    case DType::f16:
      return double{f16_to_f32(t.data<uint16_t>()[i])};
    case DType::bf16:
      return double{bf16_to_f32(t.data<uint16_t>()[i])};
    case DType::i8:
      return static_cast<double>(t.data<int8_t>()[i]);
    case DType::u8:
      return static_cast<double>(t.data<uint8_t>()[i]);
    default:
      ADD_FAILURE() << "an initializer of type " << dtype_name(t.dtype());
      return 0;
  }
}

class RaisedRun {
 public:
  // positions: what Raised::positions gives for this length, in its order of outputs.
  RaisedRun(const Raised& raised, const std::vector<int64_t>& ids,
            const std::vector<Tensor>& positions)
      : graph_(raised.model.graph), ids_(ids) {
    for (const Initializer& i : graph_.initializers) {
      auto tensor = i.tensor();
      EXPECT_TRUE(tensor) << i.name();
      if (tensor) constants_.emplace(i.name(), *tensor);
    }
    for (size_t i = 0; i < positions.size(); ++i)
      constants_.emplace(raised.position_values[i].name, positions[i]);
  }

  Rows run() {
    for (const Node& node : graph_.nodes) values_[node.outputs[0]] = make(node);
    return values_.at(graph_.outputs[0].name);
  }

 private:
  const Tensor* constant(const Node& node, size_t i) const {
    if (node.inputs.size() <= i || node.inputs[i].empty()) return nullptr;
    const auto found = constants_.find(node.inputs[i]);
    EXPECT_NE(found, constants_.end()) << node.inputs[i];
    return found == constants_.end() ? nullptr : &found->second;
  }
  // element i of a vector or of a scalar that stands for all.
  static double spread(const Tensor* t, size_t i, double missing) {
    if (t == nullptr) return missing;
    return at(*t, t->size() == 1 ? 0 : i);
  }

  Rows make(const Node& node) {
    const auto& op = node.op_type;
    if (op == raised::kEmbed) return embed(node);
    if (op == raised::kLinear) return linear(node);
    if (op == raised::kFusedAttention) return attention(node);
    if (op == raised::kRmsNorm) return norm(node, false);
    if (op == "LayerNormalization") return norm(node, true);
    Rows y = values_.at(node.inputs[0]);
    const Rows* other = node.inputs.size() > 1 ? &values_.at(node.inputs[1]) : nullptr;
    const bool tanh = node.string_or("approximate", "none") == "tanh";
    for (size_t i = 0; i < y.x.size(); ++i) {
      double& v = y.x[i];
      const double o = other == nullptr ? 1 : other->x[i];
      if (op == "Add") {
        v += o;
      } else if (op == raised::kSilu || op == raised::kSwiGlu) {
        v = v / (1 + std::exp(-v)) * o;
      } else if (op == "Relu") {
        v = v > 0 ? v : 0;
      } else if (op == "Gelu" || op == raised::kGeGlu) {
        const double inner = tanh ? std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))
                                  : std::erf(v / 1.4142135623730951);
        v = 0.5 * v * (1 + inner) * o;
      } else {
        ADD_FAILURE() << "no raised op " << op;
      }
    }
    return y;
  }

  Rows embed(const Node& node) const {
    const Tensor* table = constant(node, 1);
    const Tensor* type = constant(node, 2);
    const Tensor* places = constant(node, 3);
    const Tensor* scale = constant(node, 4);
    Rows y{ids_.size(), static_cast<size_t>(table->dim(1)), {}};
    for (size_t t = 0; t < ids_.size(); ++t) {
      const auto id = static_cast<size_t>(ids_[t]);
      for (size_t i = 0; i < y.width; ++i) {
        double v = at(*table, id * y.width + i) * (scale == nullptr ? 1 : at(*scale, id));
        y.x.push_back(v + (type == nullptr ? 0 : at(*type, i)) +
                      (places == nullptr ? 0 : at(*places, t * y.width + i)));
      }
    }
    return y;
  }

  Rows norm(const Node& node, bool centred) const {
    Rows y = values_.at(node.inputs[0]);
    const Tensor* gain = constant(node, 1);
    const Tensor* bias = constant(node, 2);
    for (size_t t = 0; t < y.rows; ++t)
      norm_row(y.row(t), y.width, gain, bias, double{node.float_or("epsilon", -1)}, centred);
    return y;
  }
  static void norm_row(double* x, size_t width, const Tensor* gain, const Tensor* bias,
                       double epsilon, bool centred) {
    const auto n = static_cast<double>(width);
    double mean = 0, square = 0;
    for (size_t i = 0; i < width; ++i) mean += x[i] / n;
    for (size_t i = 0; i < width; ++i) {
      if (centred) x[i] -= mean;
      square += x[i] * x[i] / n;
    }
    for (size_t i = 0; i < width; ++i)
      x[i] =
          x[i] / std::sqrt(square + epsilon) * at(*gain, i) + (bias == nullptr ? 0 : at(*bias, i));
  }

  Rows linear(const Node& node) const {
    const Rows& x = values_.at(node.inputs[0]);
    const Tensor* weight = constant(node, 1);
    const Tensor* bias = constant(node, 2);
    const Tensor* scale = constant(node, 3);
    const Tensor* zero = constant(node, 4);
    const Tensor* factor = constant(node, 5);
    const bool transposed = node.int_or("transposed", 0) != 0;
    const bool int8 = node.string_or("kind", "") == raised::kInt8;
    const bool nbits = node.string_or("kind", "") == raised::kNBits;
    const size_t k = x.width;
    const auto n =
        nbits ? static_cast<size_t>(node.int_or("N", 0)) : static_cast<size_t>(weight->size()) / k;
    EXPECT_EQ(static_cast<size_t>(nbits ? node.int_or("K", 0) : weight->dim(transposed ? 1 : 0)),
              k);
    std::vector<double> w(k * n);  // [k][n]
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double v = nbits ? block_weight(node, *weight, *scale, zero, i, j)
                         : at(*weight, transposed ? j * k + i : i * n + j);
        if (int8) v = (v - spread(zero, j, 0)) * spread(scale, j, 1);
        w[i * n + j] = v * (factor == nullptr ? 1 : at(*factor, i));
      }
    }
    Rows y{x.rows, n, std::vector<double>(x.rows * n)};
    for (size_t t = 0; t < x.rows; ++t) {
      double* out = y.row(t);
      for (size_t j = 0; j < n; ++j) out[j] = bias == nullptr ? 0 : at(*bias, j);
      for (size_t i = 0; i < k; ++i) {
        const double v = x.row(t)[i];
        for (size_t j = 0; j < n; ++j) out[j] += v * w[i * n + j];
      }
    }
    return y;
  }

  // Weight [i][j] of MatMulNBits: B [N, blocks, block_size * bits / 8], the first number of a byte
  // in its low bits.
  static double block_weight(const Node& node, const Tensor& b, const Tensor& scale,
                             const Tensor* zero, size_t i, size_t j) {
    const auto bits = static_cast<size_t>(node.int_or("bits", 0));
    const auto size = static_cast<size_t>(node.int_or("block_size", 0));
    const auto blocks = static_cast<size_t>(b.dim(1));
    const auto packed = [bits](const Tensor& t, size_t row, size_t index) {
      const uint8_t byte = t.data<uint8_t>()[row + index * bits / 8];
      return static_cast<double>(bits == 8 ? byte : byte >> (index % 2 * 4) & 15);
    };
    const size_t block = i / size;
    const size_t bytes = size * bits / 8;
    const double q = packed(b, (j * blocks + block) * bytes, i % size);
    const size_t zero_row =
        zero == nullptr ? 0
                        : j * (static_cast<size_t>(zero->size()) / static_cast<size_t>(b.dim(0)));
    const double offset =
        zero == nullptr ? static_cast<double>(1 << (bits - 1)) : packed(*zero, zero_row, block);
    return (q - offset) * at(scale, j * blocks + block);
  }

  Rows attention(const Node& node) const {
    const auto heads = static_cast<size_t>(node.int_or("heads", 0));
    const auto kv_heads = static_cast<size_t>(node.int_or("kv_heads", 0));
    const auto d = static_cast<size_t>(node.int_or("head_dim", 0));
    Rows q = values_.at(node.inputs[0]);
    Rows k = values_.at(node.inputs[1]);
    const Rows& v = values_.at(node.inputs[2]);
    EXPECT_EQ(q.width, heads * d);
    EXPECT_EQ(k.width, kv_heads * d);
    EXPECT_EQ(v.width, kv_heads * d);
    prepare(node, q, 5, d);
    prepare(node, k, 6, d);
    const auto window = static_cast<size_t>(node.int_or("window", 0));
    Rows y{q.rows, q.width, std::vector<double>(q.x.size())};
    for (size_t h = 0; h < heads; ++h) {
      const size_t kv = h / (heads / kv_heads);
      for (size_t i = 0; i < q.rows; ++i) {
        const size_t end = node.int_or("causal", -1) != 0 ? i + 1 : q.rows;
        const size_t begin = window > 0 && i >= window ? i + 1 - window : 0;
        std::vector<double> p;
        double total = 0;
        double most = -std::numeric_limits<double>::infinity();
        for (size_t j = begin; j < end; ++j) {
          double score = 0;
          for (size_t c = 0; c < d; ++c) score += q.row(i)[h * d + c] * k.row(j)[kv * d + c];
          p.push_back(score * double{node.float_or("scale", 0)});
          most = std::max(most, p.back());
        }
        for (double& weight : p) {
          weight = std::exp(weight - most);
          total += weight;
        }
        for (size_t j = begin; j < end; ++j) {
          for (size_t c = 0; c < d; ++c)
            y.row(i)[h * d + c] += p[j - begin] / total * v.row(j)[kv * d + c];
        }
      }
    }
    return y;
  }
  void prepare(const Node& node, Rows& x, size_t gain_input, size_t d) const {
    const Tensor* cos = constant(node, 3);
    const Tensor* sin = constant(node, 4);
    const Tensor* gain = constant(node, gain_input);
    for (size_t t = 0; t < x.rows; ++t) {
      for (double* head = x.row(t); head < x.row(t) + x.width; head += d) {
        if (gain != nullptr)
          norm_row(head, d, gain, nullptr, double{node.float_or("epsilon", -1)}, false);
        if (cos == nullptr) continue;
        const std::vector<double> old(head, head + d);
        for (size_t c = 0; c < d; ++c) {
          const double turned = c < d / 2 ? -old[c + d / 2] : old[c - d / 2];
          head[c] = old[c] * at(*cos, t * d + c) + turned * at(*sin, t * d + c);
        }
      }
    }
  }

  const Graph& graph_;
  std::vector<int64_t> ids_;
  std::map<std::string, Tensor> constants_;
  std::map<std::string, Rows> values_;
};

}  // namespace octavo
