#include "passes/quantize_rows.h"

#include <utility>

namespace octavo {

namespace {

constexpr const char* kZero = "rows_zero";
constexpr const char* kOne = "rows_one";
constexpr const char* kTop8 = "rows_255";
constexpr const char* kTop16 = "rows_65535";
constexpr const char* k256 = "rows_256";
constexpr const char* kLeastRange = "rows_least_range";
constexpr const char* kLastAxis = "rows_last_axis";
constexpr const char* kHigh = "rows_high";
constexpr const char* kLow = "rows_low";
constexpr const char* kFirstAxis = "rows_first_axis";
constexpr const char* kNoZeroPoint = "rows_no_zero_point";
// Until then ReduceMax and ReduceMin have their axes as an attribute, and Unsqueeze.
constexpr int64_t kOpsetOfAxesInput = 18;
constexpr int64_t kOpsetOfUnsqueezeInput = 13;

Attribute to(DType dtype) { return static_cast<int64_t>(dtype); }

// Nodes named <scope>/<op>, or "<scope>/<op>_<k>" from the second on; without a scope none has a
// name.
class Writer {
 public:
  explicit Writer(std::string scope) : scope_(std::move(scope)) {}

  std::string add(const std::string& op, std::vector<std::string> inputs, std::string output,
                  std::map<std::string, Attribute> attributes = {}) {
    const int seen = seen_[op]++;
    const std::string name =
        scope_.empty() ? "" : scope_ + "/" + op + (seen == 0 ? "" : "_" + std::to_string(seen));
    nodes_.push_back({name, op, "", std::move(inputs), {output}, std::move(attributes), {}});
    return output;
  }
  std::vector<Node> take() && { return std::move(nodes_); }

 private:
  std::string scope_;
  std::map<std::string, int> seen_;
  std::vector<Node> nodes_;
};

}  // namespace

std::vector<Initializer> row_constants(int64_t opset) {
  std::vector<Initializer> out;
  for (const auto& [name, value] :
       {std::pair{kZero, 0.0F}, std::pair{kOne, 1.0F}, std::pair{kTop8, 255.0F},
        std::pair{kTop16, 65535.0F}, std::pair{k256, 256.0F}, std::pair{kLeastRange, 1e-30F}})
    out.emplace_back(name, Tensor::scalar(value));
  out.emplace_back(kNoZeroPoint, Tensor::scalar(uint8_t{0}));
  out.emplace_back(kHigh, Tensor::scalar(int64_t{0}));
  out.emplace_back(kLow, Tensor::scalar(int64_t{1}));
  if (opset >= kOpsetOfUnsqueezeInput) out.emplace_back(kFirstAxis, Tensor::of<int64_t>({1}, {0}));
  if (opset >= kOpsetOfAxesInput) out.emplace_back(kLastAxis, Tensor::of<int64_t>({1}, {-1}));
  return out;
}

Initializer row_zero_point(const std::string& name) { return {name, Tensor::scalar(int8_t{0})}; }

Initializer row_of_ones(int64_t depth) {
  return {"rows_ones_" + std::to_string(depth),
          Tensor::of<uint8_t>({1, depth}, std::vector<uint8_t>(static_cast<size_t>(depth), 1))};
}

Node column_sums(const RowWeight& weight, int64_t depth) {
  return {weight.column_sums,
          "MatMulInteger",
          "",
          {"rows_ones_" + std::to_string(depth), weight.values},
          {weight.column_sums},
          {},
          {}};
}

std::vector<Node> row_quantizer(const std::string& x, Activations activations, int64_t opset,
                                RowStandin& standin) {
  const bool wide = activations == Activations::per_token_16;
  const std::string v = x + (wide ? "_rows16_" : "_rows_");
  const char* top = wide ? kTop16 : kTop8;
  Writer w(x + (wide ? "_QuantizeRows16" : "_QuantizeRows"));
  const auto reduce = [&](const char* op, const char* name) {
    if (opset >= kOpsetOfAxesInput)
      return w.add(op, {x, kLastAxis}, v + name, {{"keepdims", int64_t{1}}});
    return w.add(op, {x}, v + name, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{1}}});
  };
  const std::string low = w.add("Min", {reduce("ReduceMin", "min"), kZero}, v + "low");
  const std::string high = w.add("Max", {reduce("ReduceMax", "max"), kZero}, v + "high");
  const std::string range = w.add("Sub", {high, low}, v + "range");
  // Such a row is all zeros: 1 / scale would soon overflow.
  const std::string tiny = w.add("Less", {range, kLeastRange}, v + "is_tiny");
  const std::string step = w.add("Div", {range, top}, v + "step");
  standin.scale = w.add("Where", {tiny, kOne, step}, v + "scale");
  // No more than `top`, so that nothing is left to clip.
  const std::string offset =
      w.add("Div", {w.add("Neg", {low}, v + "depth"), standin.scale}, v + "offset");
  const std::string zero = w.add("Round", {offset}, v + "zero_point");
  // Not Reciprocal, which some runtimes approximate.
  const std::string inverse = w.add("Div", {kOne, standin.scale}, v + "inverse");
  const std::string scaled = w.add("Mul", {x, inverse}, v + "scaled");
  const std::string rounded = w.add("Round", {scaled}, v + "rounded");
  const std::string shifted = w.add("Add", {rounded, zero}, v + "shifted");
  const std::string q = w.add("Clip", {shifted, kZero, top}, v + "clipped");
  if (!wide) {
    standin.values = w.add("Cast", {q}, v + "quantized", {{"to", to(DType::u8)}});
    standin.zero_point = w.add("Cast", {zero}, v + "zero_point_int32", {{"to", to(DType::i32)}});
    return std::move(w).take();
  }
  // The two bytes of `from`, one behind the other along a new first axis.
  const auto bytes = [&](const std::string& from, DType dtype, const std::string& name) {
    const auto beside = [&](const std::string& byte) {
      const std::string cast = w.add("Cast", {byte}, byte + "_cast", {{"to", to(dtype)}});
      if (opset >= kOpsetOfUnsqueezeInput)
        return w.add("Unsqueeze", {cast, kFirstAxis}, byte + "_stacked");
      return w.add("Unsqueeze", {cast}, byte + "_stacked", {{"axes", std::vector<int64_t>{0}}});
    };
    const std::string high_byte =
        w.add("Floor", {w.add("Div", {from, k256}, from + "_in_256")}, from + "_high");
    const std::string rest = w.add("Mul", {high_byte, k256}, from + "_rest");
    const std::string low_byte = w.add("Sub", {from, rest}, from + "_low");
    return w.add("Concat", {beside(high_byte), beside(low_byte)}, v + name, {{"axis", int64_t{0}}});
  };
  standin.wide = true;
  standin.values = bytes(q, DType::u8, "quantized");
  standin.zero_point = bytes(zero, DType::i32, "zero_point_int32");
  return std::move(w).take();
}

std::vector<Node> row_product(const std::string& node, const RowStandin& x, const RowWeight& weight,
                              const std::string& y) {
  Writer w(node.empty() ? "" : node + "_rows");
  const std::string sums = w.add(
      "MatMulInteger", {x.values, weight.values, kNoZeroPoint, weight.zero_point}, y + "_sums");
  const std::string shift = w.add("Mul", {x.zero_point, weight.column_sums}, y + "_shift");
  const std::string exact = w.add("Sub", {sums, shift}, y + "_output_quantized");
  std::string sum = w.add("Cast", {exact}, exact + "_cast_output", {{"to", to(DType::f32)}});
  if (x.wide) {
    const std::string high = w.add("Gather", {sum, kHigh}, y + "_high", {{"axis", int64_t{0}}});
    const std::string low = w.add("Gather", {sum, kLow}, y + "_low", {{"axis", int64_t{0}}});
    sum = w.add("Add", {w.add("Mul", {high, k256}, y + "_high_times_256"), low}, y + "_total");
  }
  const std::string scale = w.add("Mul", {x.scale, weight.scale}, y + "_scale");
  w.add("Mul", {sum, scale}, y);
  return std::move(w).take();
}

}  // namespace octavo
