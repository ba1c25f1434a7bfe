#include "passes/quantize_table.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "base/float_environment.h"
#include "base/half.h"
#include "passes/tidy.h"

namespace octavo {

namespace {

constexpr const char* kIds = "input_ids";
constexpr int64_t kOpsetOfBfloat16 = 13;
// What rounds to infinity.
constexpr float kFloat16End = 65520.0F;
constexpr float kBfloat16End = 0x1.FFp127F;
// Layout ops between the ids and a Gather; a longer chain is not followed.
constexpr int kMaxSteps = 16;

// Whether these are the ids, in whatever layout.
bool reads_ids(const Graph& graph, const GraphIndex& index, std::string value) {
  for (int step = 0; step < kMaxSteps; ++step) {
    if (value == kIds) return index.is_graph_input(value);
    const size_t at = index.producer(value);
    if (at == GraphIndex::kNone) return false;
    const Node& node = graph.nodes[at];
    const auto& op = node.op_type;
    const bool layout = op == "Cast" || op == "Identity" || op == "Reshape" || op == "Unsqueeze" ||
                        op == "Squeeze" || op == "Flatten";
    if (!layout || !node.domain.empty() || node.inputs.empty()) return false;
    value = node.inputs[0];
  }
  return false;
}

bool is_gather(const Node& node) {
  return node.op_type == "Gather" && node.domain.empty() && node.inputs.size() == 2 &&
         node.outputs.size() == 1 && node.int_or("axis", 0) == 0;
}

Error bad_element(const Initializer& table, float value, size_t row, const std::string& why) {
  return {Code::invalid_input, "the embedding table \"" + table.name() + "\" has " +
                                   std::to_string(value) + " in row " + std::to_string(row) + ", " +
                                   why};
}

// The tensors that stand for the table; each is made when its bytes are asked for.
class Rows {
 public:
  Rows(Initializer table, std::shared_ptr<ThreadPool> pool)
      : table_(std::move(table)), pool_(std::move(pool)) {}

  int64_t rows() const { return table_.shape()[0]; }
  int64_t width() const { return table_.shape()[1]; }

  Result<Tensor> scales() const {
    return make<float>(DType::f32, {rows(), 1},
                       [](const float*, float scale, float* to) { *to = scale; });
  }

  Result<Tensor> int8() const {
    const auto n = static_cast<size_t>(width());
    return make<int8_t>(DType::i8, table_.shape(), [n](const float* x, float scale, int8_t* to) {
      // Adding and taking away 1.5 * 2^23 rounds half to even what is below 2^22.
      constexpr float kRound = 12582912.0F;
      for (size_t i = 0; i < n; ++i)
        to[i] = static_cast<int8_t>((std::clamp(x[i] / scale, -127.0F, 127.0F) + kRound) - kRound);
    });
  }

  Result<Tensor> half(DType dtype) const {
    const auto n = static_cast<size_t>(width());
    return make<uint16_t>(dtype, table_.shape(), [n, dtype](const float* x, float, uint16_t* to) {
      std::transform(x, x + n, to, dtype == DType::bf16 ? f32_to_bf16 : f32_to_f16);
    });
  }

 private:
  // body(row, its scale, its output) for all rows.
  template <class T, class Body>
  Result<Tensor> make(DType dtype, Shape shape, Body body) const {
    OCTAVO_TRY(const Tensor from, table_.tensor());
    OCTAVO_TRY(Tensor out, Tensor::make(dtype, std::move(shape)));
    const auto count = static_cast<size_t>(rows());
    const auto n = static_cast<size_t>(width());
    const size_t step = static_cast<size_t>(out.size()) / count;
    const float limit = dtype == DType::f16    ? kFloat16End
                        : dtype == DType::bf16 ? kBfloat16End
                                               : std::numeric_limits<float>::infinity();
    const float* in = from.data<float>();
    T* to = out.mutable_data<T>();
    std::atomic<size_t> bad{count};
    pool_->parallel_for(count, std::max<size_t>(1, (size_t{1} << 18) / n),
                        [&](size_t begin, size_t end) {
                          const FloatEnvironment environment;
                          for (size_t r = begin; r < end; ++r) {
                            const float* x = in + r * n;
                            const float top = largest(n, x);
                            if (!(top < limit)) {
                              bad = r;
                              return;
                            }
                            body(x, scale_of(top), to + r * step);
                          }
                        });
    if (bad != count) return complain(from, bad, dtype);
    from.drop_pages();
    return out;
  }

  // max|x|, or infinity when one is a NaN.
  static float largest(size_t n, const float* x) {
    float top = 0;
    bool number = true;
    for (size_t i = 0; i < n; ++i) {
      number = number && x[i] == x[i];
      top = std::max(top, std::abs(x[i]));
    }
    return number ? top : std::numeric_limits<float>::infinity();
  }
  static float scale_of(float top) {
    const double scale = 2 * double{top} / 254;
    return scale < double{std::numeric_limits<float>::min()} ? 1.0F : static_cast<float>(scale);
  }

  Error complain(const Tensor& from, size_t row, DType dtype) const {
    const auto n = static_cast<size_t>(width());
    const float* x = from.data<float>() + row * n;
    const float* worst =
        std::find_if(x, x + n, [&](float v) { return !(std::abs(v) < kFloat16End); });
    const float value = worst == x + n ? *x : *worst;
    return bad_element(table_, value, row,
                       dtype == DType::f16 && std::isfinite(value)
                           ? "and float16 ends at 65504: take bfloat16 or int8"
                           : "which has no 8- or 16-bit form");
  }

  Initializer table_;
  std::shared_ptr<ThreadPool> pool_;
};

struct Names {
  std::string values, scales;
};

// The nodes in a Gather's place.
std::vector<Node> lookup(const Node& gather, const Names& names) {
  const std::string& y = gather.outputs[0];
  const std::string name = gather.name.empty() ? y : gather.name;
  Node rows = gather;
  rows.inputs[0] = names.values;
  rows.outputs[0] = y + "_rows";
  const std::string floats = names.scales.empty() ? y : y + "_rows_cast";
  std::vector<Node> out{rows,
                        {name + "_rows_cast",
                         "Cast",
                         "",
                         {rows.outputs[0]},
                         {floats},
                         {{"to", static_cast<int64_t>(DType::f32)}},
                         {}}};
  if (names.scales.empty()) return out;
  Node scales = gather;
  scales.name = name + "_rows_scale";
  scales.inputs[0] = names.scales;
  scales.outputs[0] = y + "_rows_scale";
  out.push_back(scales);
  out.push_back({name + "_rows_mul", "Mul", "", {floats, scales.outputs[0]}, {y}, {}, {}});
  return out;
}

}  // namespace

Status quantize_table(Model& model, TableType type, const std::shared_ptr<ThreadPool>& pool,
                      QuantizeReport& report) {
  if (type == TableType::float32) return Done{};
  if (type == TableType::bfloat16 && model.opset() < kOpsetOfBfloat16)
    return Error{Code::unsupported, "opset " + std::to_string(model.opset()) +
                                        " has no bfloat16; take int8 or float16, or export the "
                                        "model with opset 13 or newer"};
  Graph& graph = model.graph;
  const GraphIndex index(graph);
  std::string name;
  std::vector<bool> by_ids;  // of each node: before the nodes are moved
  for (const Node& node : graph.nodes) {
    by_ids.push_back(is_gather(node) && reads_ids(graph, index, node.inputs[1]));
    if (!by_ids.back() || !name.empty()) continue;
    const size_t at = index.initializer(node.inputs[0]);
    if (at == GraphIndex::kNone) continue;
    const Initializer& i = graph.initializers[at];
    const auto count = element_count(i.shape());
    if (i.dtype() == DType::f32 && i.shape().size() == 2 && count && *count > 0) name = i.name();
  }
  if (name.empty())
    return Error{Code::invalid_input,
                 "there is no embedding table to store otherwise: no Gather along axis 0 of a "
                 "float32 matrix by input_ids"};
  const Initializer table = graph.initializers[index.initializer(name)];
  const bool int8 = type == TableType::int8;
  const DType dtype = type == TableType::bfloat16 ? DType::bf16 : DType::f16;
  const Names names = int8 ? Names{name + "_rows_quantized", name + "_rows_scale"}
                           : Names{name + "_" + std::string(dtype_name(dtype)), ""};
  std::vector<Node> nodes;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    if (by_ids[n] && node.inputs[0] == name) {
      for (Node& made : lookup(node, names)) nodes.push_back(std::move(made));
      continue;
    }
    if (std::find(node.inputs.begin(), node.inputs.end(), name) != node.inputs.end())
      report.table.also_read_by.push_back(node.name.empty() ? node.describe() : node.name);
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  const auto made = std::make_shared<const Rows>(table, pool);
  report.table.bytes_after = 0;
  const auto add = [&](Initializer i) {
    if (const auto bytes = byte_count(i.dtype(), i.shape())) report.table.bytes_after += *bytes;
    graph.initializers.push_back(std::move(i));
  };
  if (int8) {
    add({names.scales, DType::f32, {made->rows(), 1}, [made] { return made->scales(); }});
    add({names.values, DType::i8, table.shape(), [made] { return made->int8(); }});
  } else {
    add({names.values, dtype, table.shape(), [made, dtype] { return made->half(dtype); }});
  }
  const auto before = byte_count(DType::f32, table.shape());
  report.table.name = name;
  report.table.type = type;
  report.table.bytes_before = before ? *before : 0;
  report.bytes_after += report.table.bytes_after;
  if (report.table.also_read_by.empty()) {
    drop_unused_initializers(graph);
    report.bytes_after -= report.table.bytes_before;
  }
  return check(model).within("the table");
}

}  // namespace octavo
