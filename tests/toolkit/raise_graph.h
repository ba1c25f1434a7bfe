#pragma once
// A one-layer decoder in which each part is written in one of several spellings that exporters and
// people use. All of them compute the same kind of function, so all must be raised to the same ops.

#include <cmath>
#include <string>
#include <vector>

#include "base/half.h"
#include "graph/builder.h"

namespace octavo {

struct Spelling {
  enum class Norm { div, reciprocal, one_over, pow, cast, square_root_by_pow, whole };
  enum class LayerNorm { none, pieces, whole };
  enum class Gate {
    silu,
    silu_swapped,
    sigmoid_first,
    gelu,
    gelu_half_first,
    gelu_tanh,
    gelu_tanh_product,
    relu,
    silu_alone
  };
  enum class Rotation { split, slice, halves, swapped, none };
  enum class Mask { add, where, where_not, none };
  enum class Table { floats, gathered_bytes, bytes_by_row, bytes_by_column };
  enum class Places { range, input, mask };
  enum class Scale { query, scores_mul, scores_div, both_sides };
  enum class Product {
    matmul,
    bias,
    bias_first,
    gemm,
    transposed,
    fused_split,
    fused_slice,
    dequantized,
    dequantized_by_column,
    half,
    bfloat,
    looked_up,
    looked_up_in_fours
  };
  Norm norm = Norm::div;
  LayerNorm layer_norm = LayerNorm::none;
  Gate gate = Gate::silu;
  Rotation rotation = Rotation::split;
  Mask mask = Mask::add;
  Table table = Table::floats;
  Places places = Places::range;
  Scale scale = Scale::query;
  Product product = Product::matmul;
  // pieces, or GroupQueryAttention of com.microsoft with three inputs or one
  enum class Op { pieces, grouped, grouped_packed };
  Op op = Op::pieces;
  int64_t heads = 4, kv_heads = 2;
  int64_t window = 0;
  bool head_norm = false;
  bool cache = false;  // keys and values after an empty past
  bool nan_guard = false;
};

class RaiseGraph {
 public:
  explicit RaiseGraph(const Spelling& spelling) : s_(spelling) {}

  static constexpr int64_t kDim = 6, kWidth = 20, kInner = 28, kVocabulary = 101;

  Model make() {
    const Value ids = b_.input("input_ids", DType::i64, {"batch", "sequence"});
    const Value real = b_.input("attention_mask", DType::i64, {"batch", "sequence"});
    if (s_.cache) {
      past_ = b_.input("past_key_values.0.key", DType::f32, {"batch", s_.kv_heads, "past", kDim});
      past_value_ =
          b_.input("past_key_values.0.value", DType::f32, {"batch", s_.kv_heads, "past", kDim});
    }
    const Value length =
        op("Squeeze", {op("Slice", {op("Shape", {ids}), ints({1}), ints({2})}), ints({0})});
    places_ = op("Range", {b_.scalar(int64_t{0}), length, b_.scalar(int64_t{1})});
    row_of_places_ = op("Unsqueeze", {places_, ints({0})});
    if (s_.places == Spelling::Places::input)
      row_of_places_ = b_.input("position_ids", DType::i64, {"batch", "sequence"});
    if (s_.places == Spelling::Places::mask)
      row_of_places_ = op("CumSum", {real, b_.scalar(int64_t{1})}) - b_.scalar(int64_t{1});
    Value x = words(ids);
    x = x + attention(norm(x, kWidth));
    x = x + feed_forward(norm(x, kWidth));
    b_.output(norm(x, kWidth), "last_hidden_state", DType::f32, {"batch", "sequence", kWidth});
    Model model = std::move(b_).finish(17);
    for (Node& node : model.graph.nodes) {
      if (node.op_type == "GroupQueryAttention") node.domain = "com.microsoft";
    }
    model.opset_imports["com.microsoft"] = 1;
    return model;
  }

 private:
  Value op(const std::string& type, const std::vector<Value>& in, Attributes attributes = {}) {
    return b_.op(type, in, std::move(attributes));
  }
  Value ints(const Ints& values) { return b_.ints(values); }

  Value weight(const Shape& shape, double spread) {
    std::vector<float> values(static_cast<size_t>(*element_count(shape)));
    for (float& v : values) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      v = static_cast<float>((static_cast<double>(state_ >> 40) / (1 << 23) - 1) * spread);
    }
    return b_.initializer({"w" + std::to_string(count_++), Tensor::of<float>(shape, values)});
  }

  Value words(const Value& ids) {
    using T = Spelling::Table;
    if (s_.table == T::floats) return op("Gather", {weight({kVocabulary, kWidth}, 1), ids});
    std::vector<uint8_t> bytes(kVocabulary * kWidth);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 89 % 251);
    const Value q = b_.initializer({"table", Tensor::of<uint8_t>({kVocabulary, kWidth}, bytes)});
    if (s_.table == T::gathered_bytes)
      return op("DequantizeLinear", {op("Gather", {q, ids}), b_.scalar(0.01F),
                                     b_.constant(Tensor::scalar<uint8_t>(120))});
    const bool by_row = s_.table == T::bytes_by_row;
    const int64_t count = by_row ? kVocabulary : kWidth;
    const Value scale = weight({count}, 0.02);
    const Value floats = op("DequantizeLinear", {q, scale}, {{"axis", int64_t{by_row ? 0 : 1}}});
    return op("Gather", {floats, ids});
  }

  Value mean(const Value& x) {
    return op("ReduceMean", {x}, {{"axes", Ints{-1}}, {"keepdims", int64_t{1}}});
  }
  Value norm(const Value& x, int64_t width) {
    if (s_.layer_norm != Spelling::LayerNorm::none) return layer_norm(x, width);
    return rms_norm(x, width);
  }
  Value layer_norm(const Value& x, int64_t width) {
    const Value gain = weight({width}, 1);
    const Value bias = weight({width}, 1);
    if (s_.layer_norm == Spelling::LayerNorm::whole)
      return op("LayerNormalization", {x, gain, bias}, {{"epsilon", 1e-3F}});
    const Value d = x - mean(x);
    const Value root = op("Sqrt", {mean(op("Pow", {d, b_.scalar(2.0F)})) + 1e-3F});
    return bias + gain * (d / root);
  }
  Value rms_norm(const Value& x, int64_t width) {
    using N = Spelling::Norm;
    const Value gain = weight({width}, 1);
    const Attributes f32 = {{"to", static_cast<int64_t>(DType::f32)}};
    if (s_.norm == N::whole)
      return op("SimplifiedLayerNormalization", {x, gain}, {{"epsilon", 1e-3F}});
    const Value from = s_.norm == N::cast ? op("Cast", {x}, f32) : x;
    const Value square = s_.norm == N::div ? op("Pow", {from, b_.scalar(2.0F)}) : from * from;
    const Value variance = mean(square) + 1e-3F;
    const Value root = s_.norm == N::square_root_by_pow ? op("Pow", {variance, b_.scalar(0.5F)})
                                                        : op("Sqrt", {variance});
    switch (s_.norm) {
      case N::reciprocal:
        return gain * (x * op("Reciprocal", {root}));
      case N::one_over:
        return (b_.scalar(1.0F) / root * x) * gain;
      case N::pow:
        return gain * (x * op("Pow", {variance, b_.scalar(-0.5F)}));
      case N::cast:
        return gain * op("Cast", {from * op("Reciprocal", {root})}, f32);
      default:
        return x / root * gain;
    }
  }

  Value product(const Value& x, int64_t in, int64_t out) {
    using P = Spelling::Product;
    if (s_.product == P::transposed)
      return op("MatMul", {x, op("Transpose", {weight({out, in}, 0.3)}, {{"perm", Ints{1, 0}}})});
    if (s_.product == P::dequantized || s_.product == P::dequantized_by_column)
      return op("MatMul", {x, dequantized(in, out)});
    if (s_.product == P::half || s_.product == P::bfloat)
      return op("MatMul", {x, narrow({in, out}, s_.product == P::half)});
    if (s_.product == P::looked_up) return op("MatMul", {x, looked_up(in, out, 1)});
    if (s_.product == P::looked_up_in_fours) return op("MatMul", {x, looked_up(in, out, 4)});
    const Value w = weight({in, out}, 0.3);
    switch (s_.product) {
      case P::bias:
        return op("MatMul", {x, w}) + weight({out}, 0.3);
      case P::bias_first:
        return weight({out}, 0.3) + op("MatMul", {x, w});
      case P::gemm: {
        const Value flat = op("Reshape", {x, ints({-1, in})});
        const Value y = op("Gemm", {flat, w, weight({out}, 0.3)});
        return op(
            "Reshape",
            {y, op("Concat", {op("Slice", {op("Shape", {x}), ints({0}), ints({2})}), ints({out})},
                   {{"axis", int64_t{0}}})});
      }
      default:
        return op("MatMul", {x, w});
    }
  }

  Value dequantized(int64_t in, int64_t out) {
    std::vector<int8_t> bytes(static_cast<size_t>(in * out));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<int8_t>(i * 89 % 251);
    const std::string name = "q" + std::to_string(count_++);
    const Value q = b_.initializer({name, Tensor::of<int8_t>({in, out}, bytes)});
    if (s_.product == Spelling::Product::dequantized)
      return op("DequantizeLinear", {q, b_.scalar(0.003F), b_.constant(Tensor::scalar<int8_t>(7))});
    std::vector<float> scales(static_cast<size_t>(out));
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.001F * static_cast<float>(1 + i % 5);
    const Value scale = b_.initializer({name + "_scale", Tensor::of<float>({out}, scales)});
    return op("DequantizeLinear", {q, scale}, {{"axis", int64_t{-1}}});
  }

  // Numbers by their places in a list, in bytes; or so many of them a place.
  Value looked_up(int64_t in, int64_t out, int64_t numbers) {
    std::vector<uint8_t> bytes(static_cast<size_t>(in * out / numbers));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 89 % 211);
    std::vector<float> list(static_cast<size_t>(211 * numbers));
    for (size_t i = 0; i < list.size(); ++i)
      list[i] = 0.003F * static_cast<float>(i * 37 % 211) - 0.3F;
    const std::string name = "places" + std::to_string(count_++);
    const Value places = b_.initializer({name, Tensor::of<uint8_t>({in, out / numbers}, bytes)});
    const Value wide = op("Cast", {places}, {{"to", static_cast<int64_t>(DType::i32)}});
    const Shape shape = numbers == 1 ? Shape{211} : Shape{211, numbers};
    const Value values = b_.initializer({name + "_of", Tensor::of<float>(shape, list)});
    const Value found = op("Gather", {values, wide});
    return numbers == 1 ? found : op("Reshape", {found, ints({in, out})});
  }

  // float16 or bfloat16, widened by a Cast.
  Value narrow(const Shape& shape, bool half) {
    Tensor bits = *Tensor::make(half ? DType::f16 : DType::bf16, shape);
    for (int64_t i = 0; i < bits.size(); ++i) {
      const float v = 0.01F * static_cast<float>(i * 37 % 61 - 30);
      bits.mutable_data<uint16_t>()[i] = half ? f32_to_f16(v) : f32_to_bf16(v);
    }
    const Value w = b_.initializer({"w" + std::to_string(count_++), bits});
    return op("Cast", {w}, {{"to", static_cast<int64_t>(DType::f32)}});
  }

  Value heads(const Value& x, int64_t count) {
    return op("Reshape", {x, ints({0, 0, count, kDim})});
  }
  Value turn(const Value& x) { return op("Transpose", {x}, {{"perm", Ints{0, 2, 1, 3}}}); }

  Value rotate(const Value& x) {
    using R = Spelling::Rotation;
    if (s_.rotation == R::none) return x;
    const bool halves = s_.rotation == R::halves;
    const Value rows =
        op("Unsqueeze", {op("Cast", {row_of_places_}, {{"to", int64_t{1}}}), ints({2})});
    const std::vector<float> frequencies = {1, 0.3F, 0.1F, 1, 0.3F, 0.1F};
    const Value angles =
        rows * b_.constant(Tensor::of<float>(
                   {halves ? kDim / 2 : kDim},
                   std::vector<float>(frequencies.begin(),
                                      frequencies.begin() + (halves ? kDim / 2 : kDim))));
    const Value cos = op("Unsqueeze", {op("Cos", {angles}), ints({1})});
    const Value sin = op("Unsqueeze", {op("Sin", {angles}), ints({1})});
    Value first, second;
    if (s_.rotation == R::slice) {
      first = op("Slice", {x, ints({0}), ints({kDim / 2}), ints({3}), ints({1})});
      second = op("Slice", {x, ints({kDim / 2}), ints({INT64_MAX}), ints({3}), ints({1})});
    } else {
      const auto parts = b_.ops("Split", {x}, 2, {{"axis", int64_t{-1}}});
      first = parts[0];
      second = parts[1];
    }
    const Attributes last = {{"axis", int64_t{-1}}};
    if (halves) return op("Concat", {first * cos - second * sin, second * cos + first * sin}, last);
    const Value turned = op("Concat", {op("Neg", {second}), first}, last);
    return s_.rotation == R::swapped ? sin * turned + cos * x : x * cos + turned * sin;
  }

  // [.., length, length], true where a key is seen.
  Value seen() {
    const Value queries = op("Unsqueeze", {places_, ints({1})});
    const Value causal = op("LessOrEqual", {places_, queries});
    if (s_.window == 0) return causal;
    return op("And", {causal, op("Less", {queries - places_, b_.scalar(s_.window)})});
  }
  Value masked(const Value& scores) {
    const Value low = b_.scalar(-10000.0F);
    switch (s_.mask) {
      case Spelling::Mask::add:
        return scores + op("Where", {seen(), b_.scalar(0.0F), low});
      case Spelling::Mask::where:
        return op("Where", {seen(), scores, low});
      case Spelling::Mask::where_not:
        return op("Where", {op("Not", {seen()}), low, scores});
      case Spelling::Mask::none:
        break;
    }
    return scores;
  }

  Value attention(const Value& x) {
    const int64_t q_width = s_.heads * kDim;
    const int64_t kv_width = s_.kv_heads * kDim;
    Value q, k, v;
    if (s_.op != Spelling::Op::pieces) return grouped(x);
    if (s_.product == Spelling::Product::fused_split) {
      const auto parts = b_.ops(
          "Split",
          {product(x, kWidth, q_width + 2 * kv_width) + weight({q_width + 2 * kv_width}, 0.3),
           ints({q_width, kv_width, kv_width})},
          3, {{"axis", int64_t{-1}}});
      q = parts[0];
      k = parts[1];
      v = parts[2];
    } else if (s_.product == Spelling::Product::fused_slice) {
      const Value all = product(x, kWidth, q_width + 2 * kv_width);
      const auto part = [&](int64_t begin, int64_t end) {
        return op("Slice", {all, ints({begin}), ints({end}), ints({2})});
      };
      q = part(0, q_width);
      k = part(q_width, q_width + kv_width);
      v = part(q_width + kv_width, INT64_MAX);
    } else {
      q = product(x, kWidth, q_width);
      k = product(x, kWidth, kv_width);
      v = product(x, kWidth, kv_width);
    }
    q = heads(q, s_.heads);
    k = heads(k, s_.kv_heads);
    if (s_.head_norm) {
      q = rms_norm(q, kDim);
      k = rms_norm(k, kDim);
    }
    q = rotate(turn(q));
    k = rotate(turn(k));
    v = turn(heads(v, s_.kv_heads));
    if (s_.cache) {
      k = op("Concat", {past_, k}, {{"axis", int64_t{2}}});
      v = op("Concat", {past_value_, v}, {{"axis", int64_t{2}}});
    }
    const auto spread = [&](const Value& y) {
      if (s_.heads == s_.kv_heads) return y;
      const Value wide = op(
          "Expand", {op("Unsqueeze", {y, ints({2})}), ints({1, 1, s_.heads / s_.kv_heads, 1, 1})});
      return op("Reshape", {wide, ints({0, s_.heads, -1, kDim})});
    };
    k = op("Transpose", {spread(k)}, {{"perm", Ints{0, 1, 3, 2}}});
    const float scale = 0.4F;
    if (s_.scale == Spelling::Scale::query) q = q * scale;
    if (s_.scale == Spelling::Scale::both_sides) {
      q = q * std::sqrt(scale);
      k = k * std::sqrt(scale);
    }
    Value scores = op("MatMul", {q, k});
    if (s_.scale == Spelling::Scale::scores_mul) scores = scores * scale;
    if (s_.scale == Spelling::Scale::scores_div) scores = scores / (1 / scale);
    Value p = op("Softmax", {masked(scores)}, {{"axis", int64_t{-1}}});
    if (s_.nan_guard) p = op("Where", {op("IsNaN", {p}), b_.scalar(0.0F), p});
    const Value mixed = op("Reshape", {turn(op("MatMul", {p, spread(v)})), ints({0, 0, q_width})});
    return product(mixed, q_width, kWidth);
  }

  Value grouped(const Value& x) {
    const int64_t q_width = s_.heads * kDim;
    const int64_t kv_width = s_.kv_heads * kDim;
    const Attributes i32 = {{"to", static_cast<int64_t>(DType::i32)}};
    std::vector<Value> in = {product(x, kWidth, q_width + 2 * kv_width), Value{}, Value{}};
    if (s_.op == Spelling::Op::grouped)
      in = {product(x, kWidth, q_width), product(x, kWidth, kv_width),
            product(x, kWidth, kv_width)};
    const Value length = op("Slice", {op("Shape", {x}), ints({1}), ints({2})});
    const Value last = op("Cast", {length - ints({1})}, i32);
    const Value total = op("Cast", {op("Squeeze", {length, ints({0})})}, i32);
    in.insert(in.end(), {Value{}, Value{}, last, total, weight({64, kDim / 2}, 1),
                         weight({64, kDim / 2}, 1)});
    const auto y = b_.ops("GroupQueryAttention", in, 3,
                          {{"num_heads", s_.heads},
                           {"kv_num_heads", s_.kv_heads},
                           {"do_rotary", int64_t{1}},
                           {"local_window_size", s_.window == 0 ? int64_t{-1} : s_.window},
                           {"scale", 0.4F}});
    return product(y[0], q_width, kWidth);
  }

  Value feed_forward(const Value& x) {
    using G = Spelling::Gate;
    const Value g = product(x, kWidth, kInner);
    if (s_.gate == G::relu) return product(op("Relu", {g}), kInner, kWidth);
    if (s_.gate == G::silu_alone) return product(g * op("Sigmoid", {g}), kInner, kWidth);
    const Value up = product(x, kWidth, kInner);
    return product(gated(g, up), kInner, kWidth);
  }
  Value gated(const Value& g, const Value& up) {
    using G = Spelling::Gate;
    const float root = 0.7978845608F;
    const Value one = b_.scalar(1.0F);
    switch (s_.gate) {
      case G::silu_swapped:
        return up * (op("Sigmoid", {g}) * g);
      case G::sigmoid_first:
        return g * (up * op("Sigmoid", {g}));
      case G::gelu:
        return g * (op("Erf", {g / 1.4142135F}) + 1.0F) * 0.5F * up;
      case G::gelu_half_first:
        return up * ((g * 0.5F) * (one + op("Erf", {g * 0.70710678F})));
      case G::gelu_tanh:
        return g * 0.5F *
               (op("Tanh", {(g + op("Pow", {g, b_.scalar(3.0F)}) * 0.044715F) * root}) + 1.0F) * up;
      case G::gelu_tanh_product:
        return up * (g * ((one + op("Tanh", {g * root * (one + g * g * 0.044715F)})) * 0.5F));
      default:
        return g * op("Sigmoid", {g}) * up;
    }
  }

  Spelling s_;
  GraphBuilder b_{"spelling"};
  Value places_, row_of_places_, past_, past_value_;
  uint64_t state_ = 1;
  int count_ = 0;
};

}  // namespace octavo
