#include "toolkit/inspect.h"

#include <algorithm>
#include <tuple>
#include <variant>

#include "embed/fused_model.h"
#include "embed/model_dir.h"
#include "embed/ragged.h"
#include "formats/onnx.h"

namespace octavo {

namespace {

std::string op_name(const Node& node) {
  return node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
}

InspectReport::Value value_of(const ValueInfo& info) {
  InspectReport::Value out;
  out.name = info.name;
  if (info.dtype != DType::undefined) out.dtype = dtype_name(info.dtype);
  if (!info.shape) return out;
  for (const Dim& d : *info.shape) {
    out.shape += out.shape.empty() ? "[" : ", ";
    if (const auto* number = std::get_if<int64_t>(&d)) {
      out.shape += std::to_string(*number);
    } else {
      const auto& symbol = std::get<std::string>(d);
      out.shape += symbol.empty() ? "?" : symbol;
    }
  }
  out.shape += out.shape.empty() ? "[]" : "]";
  return out;
}

void add_weight(const Initializer& i, InspectReport& out) {
  const auto elements = element_count(i.shape());
  const auto bytes = byte_count(i.dtype(), i.shape());
  InspectReport::Weight w;
  w.name = i.name();
  w.dtype = i.storage == Initializer::Storage::sparse ? "sparse"
            : i.dtype() == DType::undefined           ? "other"
                                                      : dtype_name(i.dtype());
  w.shape = to_string(i.shape());
  // What a tensor cannot hold is kept as it lies in the file.
  w.bytes = bytes ? *bytes : i.opaque.size();
  // Fresh from a file, a lazy tensor is one whose place in the sidecar is not aligned.
  if (bytes) w.in_sidecar = i.lazy() || i.tensor()->file_backed();
  for (auto* sum : {&out.weights, &out.weights_by_dtype[w.dtype]}) {
    sum->tensors += 1;
    sum->elements += elements ? static_cast<uint64_t>(*elements) : 0;
    sum->bytes += w.bytes;
  }
  out.largest.push_back(std::move(w));
}

void add_graph(const Graph& graph, InspectReport& out) {
  for (const auto& i : graph.initializers) add_weight(i, out);
  for (const auto& n : graph.nodes) {
    ++out.nodes;
    ++out.ops[op_name(n)];
    for (const auto& [key, value] : n.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) add_graph(**sub, out);
    }
  }
}

InspectReport::Memory memory_of(const Model& model, const ModelDir& dir, size_t batch_tokens) {
  InspectReport::Memory out;
  const auto plan = plan_fused(model, {dir.positions}, std::make_shared<ThreadPool>());
  if (!plan) {
    out.refused = plan.error().message;
    return out;
  }
  out.packed_weights = plan->weight_bytes;
  out.embedding_table = plan->table_bytes;
  out.batch_tokens = batch_tokens;
  out.activations = ragged_bytes(plan->spec, dir.pooling, batch_tokens);
  if (plan->spec.positions > batch_tokens) {
    out.longest_text = plan->spec.positions;
    out.longest_activations = ragged_bytes(plan->spec, dir.pooling, plan->spec.positions);
  }
  return out;
}

}  // namespace

Result<InspectReport> inspect_model(const std::filesystem::path& path, size_t largest_weights,
                                    size_t max_batch_tokens, bool strict) {
  const bool folder = std::filesystem::is_directory(path);
  // A file may lie in a folder that says how long its texts are; it need not.
  Result<ModelDir> dir = folder ? read_model_dir(path)
                                : read_model_dir(std::filesystem::absolute(path).parent_path(),
                                                 std::filesystem::absolute(path).string());
  if (folder && !dir) return std::move(dir).error();
  const std::filesystem::path file = folder ? dir->model_file : path;
  if (file.empty())
    return Error{Code::not_found,
                 path.string() + ": no model.int8.onnx, model.onnx or onnx/model.onnx in it"};
  OCTAVO_TRY(const OnnxFile opened, open_onnx(file, {.strict = strict}));
  const Model& model = opened.model;
  InspectReport out;
  out.file = file.string();
  out.memory = memory_of(model, dir ? *dir : ModelDir{}, max_batch_tokens);
  out.file_bytes = opened.size;
  out.ir_version = model.ir_version;
  out.producer = model.producer_name;
  if (!model.producer_version.empty()) out.producer += " " + model.producer_version;
  for (const auto& [domain, version] : model.opset_imports)
    out.opsets[domain.empty() ? "ai.onnx" : domain] = version;
  for (const auto& v : model.graph.inputs) out.inputs.push_back(value_of(v));
  for (const auto& v : model.graph.outputs) out.outputs.push_back(value_of(v));
  add_graph(model.graph, out);
  std::sort(out.largest.begin(), out.largest.end(), [](const auto& a, const auto& b) {
    return std::tie(b.bytes, a.name) < std::tie(a.bytes, b.name);
  });
  if (out.largest.size() > largest_weights) out.largest.resize(largest_weights);
  for (const auto& s : opened.sidecars)
    out.sidecars.push_back({s.path.string(), s.size, s.used, s.tensors});
  for (const auto& f : model.functions) {
    const std::string name = f.domain + "." + f.name;
    const auto calls = out.ops.find(name);
    out.functions.push_back({name, f.nodes.size(), calls == out.ops.end() ? 0 : calls->second});
  }
  out.metadata = model.metadata;
  return out;
}

}  // namespace octavo
