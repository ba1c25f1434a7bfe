#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "toolkit/inspect.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Show what is inside an ONNX file: inputs, outputs, ops, weights, sidecars.)";

constexpr const char* kFooter =
    R"(Output: the graph's inputs and outputs, how often each op occurs, the weights by
element type and size, the largest of them, and the files that hold them.

Examples:
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

Json to_json(const InspectReport& r) {
  Json out = {{"file_bytes", r.file_bytes},
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

void print(const std::string& file, const InspectReport& r) {
  std::printf("%s: %s, ONNX IR %lld", file.c_str(), human_bytes(r.file_bytes).c_str(),
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
  bool json = false;
};

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("inspect", kDescription);
  command->footer(kFooter);
  const auto args = std::make_shared<Arguments>();
  command->add_option("FILE", args->file, "ONNX file")->required();
  command->add_option("--largest", args->largest, "how many of the largest weights to list")
      ->check(whole(0, UINT32_MAX))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--strict", args->strict,
                    "refuse a file of weights that has more than one hard link");
  command->add_flag("--json", args->json, "print one JSON object, for scripts");
  command->callback([args, &context] {
    const auto report = inspect_model(args->file, args->largest, args->strict);
    if (!report) return context.fail(report.error());
    if (args->json) {
      // Names in a file need not be UTF-8; JSON must be.
      std::puts(to_json(*report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      print(args->file, *report);
    }
  });
}

}  // namespace octavo::cli
