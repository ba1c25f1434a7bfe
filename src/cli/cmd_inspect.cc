#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "toolkit/inspect.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Show what is inside an ONNX file, and what memory it takes to embed with it.)";

constexpr const char* kFooter =
    R"(Output: the graph's inputs and outputs, how often each op occurs, the weights by
element type and size, the largest of them, the files that hold them, and what
`octavo embed` takes: packed weights and the activations of one batch.

Examples:
  octavo inspect minilm-int8 --max-batch-tokens 1024
  octavo inspect model.onnx
  octavo inspect model.int8.onnx --largest 0 --json
  octavo inspect downloaded/model.onnx --strict

Exit codes: 0 done; 2 wrong usage; 3 the file is not there or is damaged (the
reason is on stderr).)";

using Json = nlohmann::ordered_json;

Json values_json(const std::vector<InspectReport::Value>& values) {
  Json out = Json::array();
  for (const auto& v : values)
    out.push_back({{"name", v.name}, {"dtype", v.dtype}, {"shape", v.shape}});
  return out;
}

Json weights_json(const InspectReport::Weights& w) {
  return {{"tensors", w.tensors}, {"elements", w.elements}, {"bytes", w.bytes}};
}

Json memory_json(const InspectReport::Memory& m) {
  if (!m.refused.empty()) return {{"engine", false}, {"reason", m.refused}};
  return {{"engine", true},
          {"packed_weights", m.packed_weights},
          {"embedding_table", m.embedding_table},
          {"batch_tokens", m.batch_tokens},
          {"activations", m.activations},
          {"longest_text", m.longest_text},
          {"longest_activations", m.longest_activations}};
}

Json to_json(const InspectReport& r) {
  Json out = {{"file", r.file},
              {"file_bytes", r.file_bytes},
              {"ir_version", r.ir_version},
              {"producer", r.producer},
              {"opsets", r.opsets},
              {"inputs", values_json(r.inputs)},
              {"outputs", values_json(r.outputs)},
              {"nodes", r.nodes},
              {"ops", r.ops},
              {"weights", weights_json(r.weights)}};
  out["weights_by_dtype"] = Json::object();
  for (const auto& [dtype, w] : r.weights_by_dtype)
    out["weights_by_dtype"][dtype] = weights_json(w);
  out["largest"] = Json::array();
  for (const auto& w : r.largest)
    out["largest"].push_back({{"name", w.name},
                              {"dtype", w.dtype},
                              {"shape", w.shape},
                              {"bytes", w.bytes},
                              {"in_sidecar", w.in_sidecar}});
  out["sidecars"] = Json::array();
  for (const auto& s : r.sidecars)
    out["sidecars"].push_back({{"path", s.path},
                               {"bytes", s.size},
                               {"used", s.used},
                               {"unused", s.size - s.used},
                               {"tensors", s.tensors}});
  out["functions"] = Json::array();
  for (const auto& f : r.functions)
    out["functions"].push_back({{"name", f.name}, {"nodes", f.nodes}, {"calls", f.calls}});
  out["memory"] = memory_json(r.memory);
  out["metadata"] = Json::object();
  for (const auto& [key, value] : r.metadata) out["metadata"][key] = value;
  return out;
}

std::string n(uint64_t value) { return std::to_string(value); }

void section(const char* title, const Table& table) {
  std::printf("\n%s\n%s", title, table.str().c_str());
}

void print_values(const char* title, const std::vector<InspectReport::Value>& values) {
  Table table({"name", "dtype", "shape"});
  for (const auto& v : values) table.add({v.name, v.dtype, v.shape});
  section(title, table);
}

void print_memory(const InspectReport::Memory& m) {
  if (!m.refused.empty()) {
    std::printf("\nMemory: runs node by node, not on the engine: %s\n", m.refused.c_str());
    return;
  }
  Table table({"what", "bytes"});
  table.add({"packed weights, shared between processes", human_bytes(m.packed_weights)});
  table.add({"embedding table, mapped from the model", human_bytes(m.embedding_table)});
  table.add({"activations, " + n(m.batch_tokens) + " tokens at once", human_bytes(m.activations)});
  if (m.longest_text != 0)
    table.add({"activations, one text of " + n(m.longest_text) + " tokens",
               human_bytes(m.longest_activations)});
  section("Memory of the engine", table);
}

void print(const InspectReport& r) {
  std::printf("%s: %s, ONNX IR %lld", r.file.c_str(), human_bytes(r.file_bytes).c_str(),
              static_cast<long long>(r.ir_version));
  for (const auto& [domain, version] : r.opsets)
    std::printf(", %s %lld", domain.c_str(), static_cast<long long>(version));
  std::printf("%s%s\n", r.producer.empty() ? "" : ", made by ", r.producer.c_str());
  print_values("Inputs", r.inputs);
  print_values("Outputs", r.outputs);

  std::vector<std::pair<std::string, uint64_t>> ops(r.ops.begin(), r.ops.end());
  std::stable_sort(ops.begin(), ops.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Table op_table({"op", "nodes"});
  for (const auto& [op, count] : ops) op_table.add({op, n(count)});
  section(("Ops (" + n(r.nodes) + " nodes)").c_str(), op_table);

  Table dtype_table({"dtype", "tensors", "elements", "bytes"});
  for (const auto& [dtype, w] : r.weights_by_dtype)
    dtype_table.add({dtype, n(w.tensors), n(w.elements), human_bytes(w.bytes)});
  dtype_table.add(
      {"all", n(r.weights.tensors), n(r.weights.elements), human_bytes(r.weights.bytes)});
  section("Weights", dtype_table);

  Table largest({"largest", "dtype", "shape", "bytes", "in"});
  for (const auto& w : r.largest)
    largest.add(
        {w.name, w.dtype, w.shape, human_bytes(w.bytes), w.in_sidecar ? "sidecar" : "model"});
  std::printf("\n%s", largest.str().c_str());

  if (!r.sidecars.empty()) {
    Table table({"path", "size", "tensors", "used", "unused"});
    for (const auto& s : r.sidecars)
      table.add({s.path, human_bytes(s.size), n(s.tensors), human_bytes(s.used),
                 human_bytes(s.size - s.used)});
    section("Sidecars", table);
  }
  print_memory(r.memory);
  if (!r.functions.empty()) {
    Table table({"function", "nodes", "calls"});
    for (const auto& f : r.functions) table.add({f.name, n(f.nodes), n(f.calls)});
    section("Functions", table);
  }
  if (!r.metadata.empty()) {
    Table table({"key", "value"});
    for (const auto& [key, value] : r.metadata) table.add({key, value});
    section("Metadata", table);
  }
}

struct Arguments {
  std::string file;
  size_t largest = 10;
  bool strict = false;
  size_t max_batch_tokens = 4096;
  bool json = false;
};

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("inspect", kDescription);
  command->footer(kFooter);
  const auto args = std::make_shared<Arguments>();
  command->add_option("FILE", args->file, "ONNX file, folder of a model, or org/name on the hub")
      ->required();
  command->add_option("--largest", args->largest, "how many of the largest weights to list")
      ->check(whole(0, UINT32_MAX))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--max-batch-tokens", args->max_batch_tokens,
                   "tokens that run together: what the activations are told for")
      ->check(whole(1, size_t{1} << 24))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--strict", args->strict,
                    "refuse a file of weights that has more than one hard link");
  command->add_flag("--json", args->json, "print one JSON object, for scripts");
  command->callback([args, &context] {
    std::string file = args->file;
    if (const Status found = resolve_model(file, HubWeights::onnx); !found)
      return context.fail(found.error());
    const auto report = inspect_model(file, args->largest, args->max_batch_tokens, args->strict);
    if (!report) return context.fail(report.error());
    if (args->json) {
      // Names in a file need not be UTF-8; JSON must be.
      std::puts(to_json(*report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      print(*report);
    }
  });
}

}  // namespace octavo::cli
